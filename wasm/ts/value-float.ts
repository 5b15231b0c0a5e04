/** 16-bit floats (IEEE 754 binary16), which not every engine has: a sign, 5 bits of exponent, 10 of fraction. */

const float32 = new Float32Array(1);
const float32Bits = new Uint32Array(float32.buffer);

/** The value of the bits. */
export function fromHalf(bits: number): number {
  const fraction = bits & 0x3ff;
  const exponent = (bits >> 10) & 0x1f;
  let magnitude: number;
  if (exponent === 0) magnitude = fraction * 2 ** -24;
  else if (exponent < 31) magnitude = (fraction + 0x400) * 2 ** (exponent - 25);
  else magnitude = fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return bits & 0x8000 ? -magnitude : magnitude;
}

/** The bits of the 16-bit float that is exactly this value, if there is one. `value` is a 32-bit float. */
export function halfOf(value: number): number | undefined {
  if (Number.isNaN(value)) return 0x7e00;
  float32[0] = value;
  const bits = float32Bits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const fraction = bits & 0x7fffff;
  const exponent = ((bits >>> 23) & 0xff) - 127;
  if (exponent === 128) return sign | 0x7c00;
  if (exponent === -127) return fraction === 0 ? sign : undefined;
  if (exponent >= -14 && exponent <= 15) {
    return fraction & 0x1fff ? undefined : sign | ((exponent + 15) << 10) | (fraction >> 13);
  }
  if (exponent < -24 || exponent > 15) return undefined;
  // Below the least normal half: the leading bit, which a float leaves out, moves into the fraction.
  const shift = -1 - exponent;
  const significand = fraction | 0x800000;
  return significand & ((1 << shift) - 1) ? undefined : sign | (significand >> shift);
}
