/** Names this process for ps and for lock holders' descriptions: "rbdsr sm sr_attach". Never give it a secret. */
export function setProcessTitle(title: string): void {
  process.title = title;
}
