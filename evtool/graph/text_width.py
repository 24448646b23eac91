"""Estimates how wide a text is in a sans-serif font, a little too wide rather than too narrow."""

from unicodedata import east_asian_width

# Parts of the font size, measured in DejaVu Sans. It is wider than the usual system fonts, so that a label does not
# leave its box where another font is used.
NARROW, USUAL, CAPITAL, WIDE, WIDEST, FULL = 0.40, 0.64, 0.70, 0.88, 1.0, 1.05


def measure_text(text: str, font_size: float) -> float:
    """Returns the width of a text in pixels."""
    return font_size * sum(map(_measure_char, text))


def _measure_char(char: str) -> float:
    if char in "ijl.,:;|!'()[]{} tfrI/\\-":
        return NARROW
    if char in "@%MWm…":
        return WIDEST
    if char in "wQO&":
        return WIDE
    # Chinese, Japanese and Korean characters are as wide as they are high.
    if east_asian_width(char) in "WF":
        return FULL
    if char.isupper():
        return CAPITAL
    return USUAL
