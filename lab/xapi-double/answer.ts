import type { DoubleProfile } from './profile.ts';
import type { ExecResult } from './host-port.ts';
import { XapiError } from './xapi-error.ts';
import { decodeResponse, isArray, isStruct, type Response, type Rpc } from './xml-rpc.ts';

export interface VdiInfo {
  readonly location: string;
  readonly uuid: string;
}

export interface AttachInfo {
  readonly params: string | undefined;
  readonly paramsNbd: string | undefined;
  readonly oDirect: boolean;
  readonly oDirectReason: string;
  readonly xenstoreData: Readonly<Record<string, string>>;
}

export interface DriverInfo {
  readonly name: string;
  readonly description: string;
  readonly vendor: string;
  readonly copyright: string;
  readonly driverVersion: string;
  readonly requiredApiVersion: string;
  readonly capabilities: readonly string[];
  readonly configuration: readonly { readonly key: string; readonly description: string }[];
}

/**
 * How a driver's run ended, by xapi's rules (xen-api `ocaml/xapi/sm_exec.ml`): an exit status other than 0 and a
 * document it cannot read are SR_BACKEND_FAILURE, a fault is the XapiError its number stands for.
 */
export function readAnswer(result: ExecResult, refs: { sr?: string | undefined; vdi?: string | undefined }): Answer {
  if (result.code !== 0) throw new XapiError('SR_BACKEND_FAILURE', 'non-zero exit', result.stdout, result.stderr);
  let response: Response;
  try {
    response = decodeResponse(result.stdout);
  } catch (error) {
    throw unparsable(result, error instanceof Error ? error.message : String(error));
  }
  if ('value' in response) return new Answer(response.value, result);
  const { code, text } = response.fault;
  const meaning = MEANINGS[code];
  if (code === 144) throw new XapiError('VDI_MISSING', refs.sr ?? '', refs.vdi ?? '');
  if (meaning !== undefined) throw new XapiError(meaning);
  throw new XapiError(`SR_BACKEND_FAILURE_${code}`, '', text, result.stderr);
}

const MEANINGS: Readonly<Record<number, string>> = {
  16: 'SR_DEVICE_IN_USE',
  24: 'VDI_IN_USE',
  38: 'SR_OPERATION_NOT_SUPPORTED',
  39: 'SR_NOT_EMPTY',
};

/** A successful answer, to be read as what the command should give; xapi refuses anything else, and so does this. */
export class Answer {
  readonly #value: Rpc;
  readonly #result: ExecResult;

  constructor(value: Rpc, result: ExecResult) {
    this.#value = value;
    this.#result = result;
  }

  get stderr(): string {
    return this.#result.stderr;
  }

  /** `<nil/>` and nothing else. */
  unit(): void {
    if (this.#value !== null) throw this.#wrong('nil');
  }

  text(): string {
    if (typeof this.#value === 'string') return this.#value;
    throw this.#wrong('a string');
  }

  vdi(): VdiInfo {
    const members = this.#texts(this.#value);
    const { location, uuid } = members;
    if (location === undefined || uuid === undefined) throw this.#wrong('a struct with location and uuid');
    return { location, uuid };
  }

  attach(profile: DoubleProfile): AttachInfo {
    if (!isStruct(this.#value)) throw this.#wrong('a struct');
    const {
      params,
      params_nbd: paramsNbd,
      o_direct: oDirect,
      o_direct_reason: reason,
      xenstore_data: data,
    } = this.#value;
    if (typeof this.#value[profile.attachNeeds] !== 'string') throw this.#wrong(`a text ${profile.attachNeeds}`);
    return {
      params: this.#optionalText(params),
      paramsNbd: this.#optionalText(paramsNbd),
      oDirect: this.#optionalFlag(oDirect),
      oDirectReason: this.#optionalText(reason) ?? '',
      xenstoreData: data === undefined ? {} : this.#texts(data),
    };
  }

  driverInfo(): DriverInfo {
    if (!isStruct(this.#value)) throw this.#wrong('a struct');
    const { capabilities, configuration, supported_image_formats: _formats, ...rest } = this.#value;
    const { name, description, vendor, copyright, driver_version, required_api_version } = this.#texts(rest);
    if (!isArray(capabilities) || !isArray(configuration)) throw this.#wrong('capabilities and configuration');
    return {
      name: this.#required(name, 'name'),
      description: this.#required(description, 'description'),
      vendor: this.#required(vendor, 'vendor'),
      copyright: this.#required(copyright, 'copyright'),
      driverVersion: this.#required(driver_version, 'driver_version'),
      requiredApiVersion: this.#required(required_api_version, 'required_api_version'),
      capabilities: capabilities.map((item) => this.#required(item, 'capabilities')),
      configuration: configuration.map((item) => {
        const { key, description: about } = this.#texts(item);
        return { key: this.#required(key, 'key'), description: this.#required(about, 'description') };
      }),
    };
  }

  /** What static-vdis takes of vdi_attach_from_config: a struct or a plain path. */
  attachFromConfig(profile: DoubleProfile): AttachInfo | string {
    return typeof this.#value === 'string' ? this.#value : this.attach(profile);
  }

  #required(value: Rpc | undefined, name: string): string {
    if (typeof value === 'string') return value;
    throw this.#wrong(`a text ${name}`);
  }

  #optionalText(value: Rpc | undefined): string | undefined {
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong('a string');
  }

  #optionalFlag(value: Rpc | undefined): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? true;
    throw this.#wrong('a boolean');
  }

  #texts(value: Rpc): Readonly<Record<string, string>> {
    if (isStruct(value) && Object.values(value).every((item) => typeof item === 'string')) {
      return value as Readonly<Record<string, string>>;
    }
    throw this.#wrong('a struct of strings');
  }

  #wrong(expected: string): XapiError {
    return unparsable(this.#result, `expected ${expected}`);
  }
}

function unparsable(result: ExecResult, why: string): XapiError {
  return new XapiError('SR_BACKEND_FAILURE', why, result.stdout, result.stderr);
}
