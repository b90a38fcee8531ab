/** What has the storage manager's own files, in the middle of a sentence. */
export const SM_PACKAGE =
  "the host's package sm (yum reinstall sm; where no package is called so, the one that rpm -qf /opt/xensource/sm names)";
