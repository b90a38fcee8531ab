export declare const REFERENCE_MS: number;
export declare function bareNodeMs(): number;
export declare function factorOf(nodeMs: number): number;
