"""Initial weights that depend on the seed and a parameter's name alone: the same bits on every layout and device.

Element number i of a parameter is a hash of i, under a key of its own (splitmix64: Steele et al. 2014), taken for a
probability whose normal quantile it becomes (Wichura 1988, algorithm AS 241: 1e-16 relative). So a process makes its
part of a parameter and no more, on its device. Only operations are used whose result IEEE 754 fixes: sums, products,
quotients, roots of float64, and integers; logarithms, sines and ``torch.randn`` differ in their last bits between
processors.
"""

import hashlib
import math

import torch
from torch import Tensor

from altiplano.recipe.schema import ModelConfig

ELEMENTS = 1 << 14
"""Drawn at a time on a CPU: what stays in a core's cache, and is too little to be shared by threads."""
GPU_ELEMENTS = 1 << 24


def initial_value(
    name: str,
    size: torch.Size,
    shape: ModelConfig,
    seed: int,
    where: tuple[slice, ...] = (),
    device: torch.device | str = "cpu",
) -> Tensor:
    """The parameter ``name`` of ``size`` in float32, or the part of it at ``where``: ones for norms, else normal with
    ``initializer_range``.

    Projections that write to the residual stream are scaled by 1/sqrt(2 · layers) (Radford et al. 2019).
    """
    where = where or tuple(slice(0, length) for length in size)
    lengths = [part.stop - part.start for part in where]
    if name.endswith("norm.weight"):
        return torch.ones(lengths, device=device)
    residual = name.endswith(("o_proj.weight", "down_proj.weight"))
    std = shape.initializer_range / math.sqrt(2 * shape.num_hidden_layers) if residual else shape.initializer_range
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big", signed=True)
    (rows, columns), width = where, size[1]
    value = torch.empty(lengths, device=device)
    across = torch.arange(columns.start, columns.stop, device=device)
    some = max(1, (GPU_ELEMENTS if value.is_cuda else ELEMENTS) // max(1, lengths[1]))
    for start in range(0, lengths[0], some):
        down = torch.arange(rows.start + start, min(rows.start + start + some, rows.stop), device=device)
        value[start : start + some] = _normal(down[:, None] * width + across, key) * std
    return value


def _normal(number: Tensor, key: int) -> Tensor:
    """A standard normal value (float64) for each number (int64)."""
    bits = number * _signed(0x9E3779B97F4A7C15) + key  # modulo 2^64, as all that follows
    bits = (bits ^ _shifted(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shifted(bits, 27)) * _signed(0x94D049BB133111EB)
    bits = bits ^ _shifted(bits, 31)
    # 52 bits and a half: exact, never 0 or 1, and as often above one half as below.
    return _quantile((_shifted(bits, 12).double() + 0.5) * 2.0**-52)


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >> 63 else constant


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _quantile(probability: Tensor) -> Tensor:
    """AS 241, PPND16. A rational function within ±0.425 of one half, two in the root of the logarithm outside."""
    middle = probability - 0.5
    r = 0.180625 - middle * middle
    inside = middle * _polynomial(A, r) / _polynomial(B, r)
    tail = torch.minimum(probability, 1.0 - probability)
    root = (-_logarithm(tail)).sqrt()
    near, far = root - 1.6, root - 5.0
    outside = torch.where(
        root <= 5.0, _polynomial(C, near) / _polynomial(D, near), _polynomial(E, far) / _polynomial(F, far)
    )
    return torch.where(middle.abs() <= 0.425, inside, torch.where(middle < 0, -outside, outside))


def _logarithm(x: Tensor) -> Tensor:
    """Natural, of what is below one: log(m · 2^e), with m about 1, by the series of 2 artanh((m - 1) / (m + 1))."""
    mantissa, exponent = torch.frexp(x)  # from one half to one
    z = (mantissa - ROOT_HALF) / (mantissa + ROOT_HALF)
    series = z * _polynomial(ARTANH, z * z)
    return series + (exponent.double() - 0.5) * LN_2


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Coefficients from the constant one on. One operation after the other: fused ones would round differently."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


ROOT_HALF, LN_2 = 0.7071067811865476, 0.6931471805599453
ARTANH = tuple(2.0 / power for power in range(1, 20, 2))
A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
E = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
F = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)
