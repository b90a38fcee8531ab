/**
 * Locks below `/var/lock/sm/<sr>` that stock's hook for a dead host waits for without limit, before HA restarts any VM
 * (sm `resetvdis.py`, reset_sr; `cleanup.py`, abort). A process that holds one lets it go when its command is answered.
 */
export const STOCK_SR_LOCKS: readonly string[] = ['gc_active', 'running', 'sr'];
