import { SaxesParser, type SaxesTagPlain } from 'saxes';
import { RbdsrError } from '../base/error.ts';

/** One element of a document, with the place of its end tag's opening for messages. */
export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** All text directly inside, as it stands. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

export interface TreeLimits {
  /** UTF-16 units of the whole document. */
  readonly length: number;
  /** Elements inside each other. */
  readonly depth: number;
}

interface OpenElement extends Element {
  readonly children: OpenElement[];
  text: string;
}

/**
 * The root element of a document that holds elements and text and nothing else: attributes, comments, CDATA, processing
 * instructions and a document type (so no entities beyond XML's five) are refused. A 'bad-request' names line and
 * column and never quotes the document.
 */
export function readTree(document: string, limits: TreeLimits): Element {
  if (document.length > limits.length) {
    throw new RbdsrError('bad-request', {
      what: 'the XML-RPC document is too long',
      expected: `at most ${limits.length} characters`,
      found: `${document.length}`,
    });
  }
  const parser = new SaxesParser();
  const refuse = (what: string): never => {
    throw malformed(what, parser.line, parser.column);
  };
  const open: OpenElement[] = [];
  let root: Element | undefined;
  parser.on('error', (error) => refuse(withoutContent(error.message)));
  parser.on('doctype', () => refuse('a document type is not allowed'));
  parser.on('comment', () => refuse('a comment is not allowed'));
  parser.on('cdata', () => refuse('a CDATA section is not allowed'));
  parser.on('processinginstruction', () => refuse('a processing instruction is not allowed'));
  parser.on('opentag', (tag: SaxesTagPlain) => {
    if (Object.keys(tag.attributes).length > 0) refuse('an element carries attributes');
    if (open.length >= limits.depth) refuse(`elements are nested deeper than ${limits.depth}`);
    const element = { name: tag.name, children: [], text: '', line: parser.line, column: parser.column };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on('text', (text) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  });
  parser.on('closetag', () => {
    root = open.pop();
  });
  parser.write(document).close();
  return root ?? refuse('there is no root element');
}

export function malformed(what: string, line: number, column: number, detail: { expected?: string } = {}): RbdsrError {
  return new RbdsrError('bad-request', {
    what: `line ${line}, column ${column} of the XML-RPC document: ${what}`,
    ...detail,
    facts: { line, column },
  });
}

/** saxes writes "LINE:COLUMN: reason" and puts a name from the document behind a further colon. */
function withoutContent(message: string): string {
  return message.replace(/^\d+:\d+: /, '').replace(/[:.].*/s, '');
}
