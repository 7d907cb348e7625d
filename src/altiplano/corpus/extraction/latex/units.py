r"""Units as siunitx writes them: ``\\SI{5}{\\kilo\\metre\\per\\second}``."""

import re

NAMES = """
    yocto:y zepto:z atto:a femto:f pico:p nano:n micro:µ milli:m centi:c deci:d deca:da hecto:h kilo:k
    mega:M giga:G tera:T peta:P exa:E metre:m meter:m m:m second:s s:s gram:g g:g kilogram:kg kg:kg
    ampere:A A:A kelvin:K K:K mole:mol mol:mol candela:cd hertz:Hz Hz:Hz newton:N N:N pascal:Pa Pa:Pa
    joule:J J:J watt:W W:W coulomb:C volt:V V:V farad:F ohm:Ω siemens:S weber:Wb tesla:T henry:H
    celsius:°C degreeCelsius:°C lumen:lm lux:lx becquerel:Bq gray:Gy sievert:Sv radian:rad steradian:sr
    degree:° arcminute:′ arcsecond:″ percent:% minute:min hour:h day:d hectare:ha litre:l liter:L
    tonne:t electronvolt:eV eV:eV dalton:Da decibel:dB bel:B byte:B bit:bit angstrom:Å bar:bar km:km
    cm:cm mm:mm um:µm nm:nm ms:ms us:µs ns:ns kHz:kHz MHz:MHz GHz:GHz mg:mg ug:µg keV:keV MeV:MeV
    GeV:GeV TeV:TeV kPa:kPa MPa:MPa mV:mV kV:kV mA:mA kW:kW MW:MW l:l L:L astronomicalunit:au parsec:pc
"""
UNITS = dict(pair.split(":") for pair in NAMES.split())
"""siunitx's names."""

PREFIXES = frozenset(list(UNITS)[:18])
AROUND_UNITS = {"per": "/", "squared": "^2", "square": "^2", "cubed": "^3", "cubic": "^3"}
UNIT = re.compile(r"\\([A-Za-z]+)|([~.])|([A-Za-z0-9^/*+µΩ°%−-]+)")


def unit(written: str) -> str:
    r"""``\kilo\metre\per\second\squared`` or ``km/s^2`` as km/s^2; ``\square\metre`` as m^2."""
    text, pending = "", ""
    separate = False
    for name, separator, literal in UNIT.findall(written):
        if name in ("square", "cubic"):
            pending = AROUND_UNITS[name]
        elif name in AROUND_UNITS:
            text, separate = text + AROUND_UNITS[name], name != "per"
        elif separator:
            separate = bool(text)
        else:
            text += f"{' ' if separate else ''}{UNITS.get(name, name or literal)}"
            separate = bool(name) and name not in PREFIXES
            if name not in PREFIXES:
                text, pending = text + pending, ""
    return text
