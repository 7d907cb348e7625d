// Linking number of two closed polygons in space, by counting signed crossings seen from above.

export function crossingSign([a, b], [c, d]) {
  const cross = (p, q) => p[0] * q[1] - p[1] * q[0];
  const r = [b[0] - a[0], b[1] - a[1]];
  const s = [d[0] - c[0], d[1] - c[1]];
  const turn = cross(r, s);
  if (turn === 0) return 0;
  const between = [c[0] - a[0], c[1] - a[1]];
  const t = cross(between, s) / turn;
  const u = cross(between, r) / turn;
  if (t < 0 || t >= 1 || u < 0 || u >= 1) return 0;
  const over = a[2] + t * (b[2] - a[2]) > c[2] + u * (d[2] - c[2]);
  return over ? Math.sign(turn) : -Math.sign(turn);
}

export function linkingNumber(first, second) {
  const edges = (points) => points.map((p, i) => [p, points[(i + 1) % points.length]]);
  let total = 0;
  for (const e of edges(first)) {
    for (const f of edges(second)) total += crossingSign(e, f);
  }
  return total / 2;
}
