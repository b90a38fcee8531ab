/**
 * Milliseconds since this process was started, on the clock that nobody sets. As `performance.now()`, whose module
 * takes a millisecond or two to load.
 */
export function nowMs(): number {
  return process.uptime() * 1000;
}
