# Turns a JSON document into lines that sh can read: the path, a tab, the value.
#
#     {"items": [{"itemId": 4912}]}   ->   items.0.itemId<TAB>4912
#
# For any awk, run with LC_ALL=C. Well-formed JSON is taken for granted. A line stays a line: tabs, line ends and other
# control characters in a text become spaces.

BEGIN { RS = "\"" }  # records are now the texts, and in turn what stands between them

in_text {
    text = text $0
    match($0, /\\*$/)
    if (RLENGTH % 2) { text = text RS; next }  # the quote was escaped: the text goes on
    in_text = 0
    if (key_next) name[depth] = decoded(text)
    else tell(decoded(text))
    next
}

{
    gsub(/[ \t\r\n]/, "")
    while (length($0)) {
        match($0, /^[^][{}:,]+/)
        if (RLENGTH > 0) tell(substr($0, 1, RLENGTH))
        else { RLENGTH = 1; punctuation(substr($0, 1, 1)) }
        $0 = substr($0, RLENGTH + 1)
    }
    in_text = 1
    text = ""
}

function punctuation(sign) {
    if (sign == "{" || sign == "[") { depth++; in_list[depth] = (sign == "["); name[depth] = 0 }
    if (sign == "}" || sign == "]") depth--
    if (sign == "," && in_list[depth]) name[depth]++
    key_next = (sign == "{" || sign == ",") && !in_list[depth]
}

function tell(value,    path, level) {
    for (level = 1; level <= depth; level++) path = path (level > 1 ? "." : "") name[level]
    print path "\t" value
}

function decoded(text,    plain, code, low) {
    while (match(text, /\\./)) {
        plain = plain substr(text, 1, RSTART - 1)
        code = substr(text, RSTART + 1, 1)
        text = substr(text, RSTART + 2)
        if (code == "u") {
            code = hex(text)
            text = substr(text, 5)
            if (code >= 55296 && code < 56320 && substr(text, 1, 2) == "\\u") {  # a pair of surrogates
                low = hex(substr(text, 3))
                text = substr(text, 7)
                code = (code - 55296) * 1024 + (low - 56320) + 65536
            }
            plain = plain utf8(code)
        }
        else plain = plain (index("bfnrt", code) ? " " : code)
    }
    plain = plain text
    gsub(/[\001-\037\177]|\302[\200-\237]/, " ", plain)
    return plain
}

function hex(digits,    value, i) {
    for (i = 1; i <= 4; i++) value = value * 16 + index("123456789abcdef", tolower(substr(digits, i, 1)))
    return value
}

function utf8(code) {
    if (code == 0) return " "
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
    return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, \
                   128 + int(code / 64) % 64, 128 + code % 64)
}
