/** What the data path has to know about the host; a host profile of `src/sm` is one. */
export interface DataPathHost {
  readonly datapath: {
    readonly kind: 'tapdisk' | 'nbd';
    /** Whether blktap2 has kernel device nodes, and with them `/dev/sm/backend`. */
    readonly kernelNodes: boolean;
    /** Whether `<blktapControlDir>/nbd/<sr>/<vdi>` links exist. */
    readonly nbdLinks: boolean;
    /** `tap-ctl close -t`, seconds. */
    readonly closeTimeoutSeconds?: number;
  };
  readonly paths: {
    /** Prefix of every path of the host, empty on a real one. */
    readonly root: string;
    readonly devSmDir: string;
    readonly blktapControlDir: string;
    /** Our own run-time files. */
    readonly runDir: string;
  };
}
