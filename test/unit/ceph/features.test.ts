import { describe, expect, test } from 'vitest';
import { checkImageFeatures, featureNames, FEATURES } from '../../../src/ceph/image/features.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { failureOf } from '../../support/expect-error.ts';

const spec = { pool: 'rbd', image: 'img' };

describe('features of an image', () => {
  test.each([
    ['3.10.0', 0x1],
    ['4.4.0+2', 0x1],
    ['4.9.0', 0x5],
    ['4.19.0+1', 0x187],
    ['5.1.0', 0x1a7],
    // What /sys/bus/rbd/supported_features says on Debian's 6.1.
    ['6.1.0-56-amd64', 0x1bf],
  ])('Linux %s maps 0x%s', (release, bits) => {
    expect(kernelTraits(release).imageFeatures).toBe(bits);
  });

  test('layering alone is accepted everywhere', () => {
    expect(() => checkImageFeatures(spec, FEATURES.layering, kernelTraits('3.10.0').imageFeatures)).not.toThrow();
  });

  test('a data pool is accepted where the kernel has it', async () => {
    const features = FEATURES.layering + FEATURES['data-pool'];
    expect(() => checkImageFeatures(spec, features, kernelTraits('4.19.0').imageFeatures)).not.toThrow();
    const error = await failureOf('image-features', () =>
      checkImageFeatures(spec, features, kernelTraits('4.4.0').imageFeatures),
    );
    expect(error.message).toContain('data-pool');
    expect(error.message).not.toContain('feature disable');
  });

  test('what a new image has by default is refused on every kernel, with the command that takes it away', async () => {
    const features = 0x3d;
    const error = await failureOf('image-features', () => checkImageFeatures(spec, features, 0x1bf));
    expect(error.message).toContain('rbd feature disable rbd/img fast-diff,object-map,exclusive-lock,deep-flatten');
  });

  test('the command is one a shell reads as it was meant', async () => {
    const odd = { pool: '-p', namespace: "n's", image: 'a/b $(x)' };
    const error = await failureOf('image-features', () => checkImageFeatures(odd, 0x5, 0x1bf));
    expect(error.message).toContain(
      String.raw`rbd feature disable --pool=-p '--namespace=n'\''s' '--image=a/b $(x)' exclusive-lock`,
    );
  });

  test('bits are named, also those nobody has named yet', () => {
    expect(featureNames(0x41)).toEqual(['layering', 'journaling']);
    expect(featureNames(2 ** 40)).toEqual(['bit 40']);
  });
});
