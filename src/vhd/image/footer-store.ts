import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import type { FooterPlace } from '../format/find-footer.ts';
import { encodeFooter, type Footer, FOOTER_BYTES } from '../format/footer.ts';

/** What an end footer is overwritten with while the disk is in use (blktap block-vhd). */
const KILLED = 0xc7;

/** The footer of an open image and its two places on the disk: the last sector of the device and offset 0. */
export class FooterStore {
  readonly #io: BlockIo;
  #footer: Footer;
  /** The places do not hold what they should. */
  #stale: boolean;

  constructor(io: BlockIo, footer: Footer, foundAt: FooterPlace) {
    this.#io = io;
    this.#footer = footer;
    this.#stale = foundAt === 'copy';
  }

  get footer(): Footer {
    return this.#footer;
  }

  /**
   * Durable on return. The end goes first: whatever moment it is cut at, a reader sees one valid footer or the other.
   */
  async change(footer: Footer): Promise<void> {
    const bytes = encodeFooter(footer);
    await this.#io.write(this.#io.size - FOOTER_BYTES, bytes);
    await this.#io.flush();
    await this.#io.write(0, bytes);
    await this.#io.flush();
    this.#footer = footer;
    this.#stale = false;
  }

  /** In the last sector of a device of `deviceBytes`, and nowhere else. */
  async writeAt(deviceBytes: number, leastBytes: number): Promise<void> {
    if (deviceBytes < leastBytes) {
      throw new RbdsrError('vdi-size', {
        what: `the data of ${this.#io.name} does not fit`,
        expected: `at least ${leastBytes} bytes`,
        found: `${deviceBytes} bytes`,
      });
    }
    await this.#io.write(deviceBytes - FOOTER_BYTES, encodeFooter(this.#footer));
    await this.#io.flush();
  }

  async killEnd(): Promise<void> {
    this.#stale = true;
    await this.#io.write(this.#io.size - FOOTER_BYTES, Buffer.alloc(FOOTER_BYTES, KILLED));
  }

  /** Writes both places where one of them is not as it should be. */
  async restore(): Promise<void> {
    if (this.#stale) await this.change(this.#footer);
  }
}
