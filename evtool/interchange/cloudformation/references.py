"""Finds the resource of a template that a value refers to."""

import re
from typing import Any

_ONE_VARIABLE = re.compile(r"[^$]*\$\{([A-Za-z0-9]+)(?:\.[A-Za-z.]+)?\}[^$]*")
_PSEUDO_PARAMETER = re.compile(r"\$\{AWS::[A-Za-z]+\}")


def find_reference(value: Any) -> str | None:
    """Returns the logical id in `!Ref X`, `!GetAtt X.Arn`, `!Sub "${X.Arn}"`.

    None if a value refers to none, or to several.

    Pseudo parameters such as `${AWS::Region}` do not count.
    """
    match value:
        case {"Ref": str(name)} if len(value) == 1:
            return name
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::GetAtt": str(text)}:
            return text.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            match = _ONE_VARIABLE.fullmatch(_PSEUDO_PARAMETER.sub("", text))
            if match:
                return match[1]
            return None
        case {"Fn::Join": [_, [*parts]]}:
            references = [name for name in map(find_reference, parts) if name and not name.startswith("AWS::")]
            if len(references) == 1:
                return references[0]
            return None
    return None
