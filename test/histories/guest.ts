import { SECTOR } from '../../src/base/units.ts';
import { NbdTestClient } from '../unit/datapath/nbd-test-client.ts';
import { Difference } from './difference.ts';

const PATIENCE_MS = 120_000;
const PIECE = 1024 * 1024;

/** A guest that has a disk open by NBD. What it asks while its disk is paused is answered when that goes on. */
export class Guest {
  readonly #client: NbdTestClient;
  readonly #disk: string;
  readonly #asked: Promise<void>[] = [];

  private constructor(client: NbdTestClient, disk: string) {
    this.#client = client;
    this.#disk = disk;
  }

  static async boot(socket: string, uuid: string, disk: string): Promise<Guest> {
    return new Guest(await NbdTestClient.connect(socket, uuid), disk);
  }

  write(sector: number, payload: Buffer): void {
    const answered = this.#client.ask({ type: 1, offset: sector * SECTOR, payload });
    this.#asked.push(
      answered.then(({ error }) => {
        if (error !== 0) throw new Difference(`disk ${this.#disk}: a write at sector ${sector} fails with ${error}`);
      }),
    );
    // It is waited for later, and may fail before.
    this.#asked.at(-1)?.catch(() => undefined);
  }

  /** Everything that was written is on the disk. */
  async flush(): Promise<void> {
    await this.#patiently(Promise.all(this.#asked.splice(0)), 'writes');
    const { error } = await this.#patiently(this.#client.ask({ type: 3 }), 'a flush');
    if (error !== 0) throw new Difference(`disk ${this.#disk}: a flush fails with ${error}`);
  }

  async read(bytes: number): Promise<Buffer> {
    await this.flush();
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < bytes; offset += PIECE) {
      const length = Math.min(PIECE, bytes - offset);
      const { error, data } = await this.#patiently(this.#client.ask({ type: 0, offset, length }), 'a read');
      if (error !== 0) throw new Difference(`disk ${this.#disk}: a read at ${offset} fails with ${error}`);
      pieces.push(data);
    }
    return Buffer.concat(pieces);
  }

  /** Something that it has asked is not known to be on the disk. */
  get waits(): boolean {
    return this.#asked.length > 0;
  }

  leave(): void {
    this.#client.socket.destroy();
  }

  async #patiently<T>(answer: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const why = `disk ${this.#disk}: ${what} of its guest got no answer for ${PATIENCE_MS / 1000} s`;
      timer = setTimeout(() => reject(new Difference(why)), PATIENCE_MS);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
