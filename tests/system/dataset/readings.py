"""The data set: readings of weather stations as a gateway would log them, made by a documented generator.

Record number i is a function of i alone, so anybody can make any part of it again:

    time, station, celsius, humidity, wind, note

  - time: 2026-01-01T00:00:00Z plus i seconds
  - station: one of 500 names, some with quotes, commas or letters beyond ASCII
  - celsius, humidity, wind: decimal numbers; humidity is missing in one of 16 records
  - note: mostly a remark of some forty bytes, sometimes quoted, sometimes empty

About one record in twelve is defective in one of the ways that such logs are: a field too few or too many, a
number that is none, an empty station, a quote that never ends, bytes that are not UTF-8, no value at all.
Blanks around fields and carriage returns at line ends are sprinkled in; they are not defects.

The key is the station's number; the timestamp is the time. A million records are about 105 MB.
"""
import json
import re

COLUMNS = "time:text, station:text, celsius:number, humidity:number?, wind:number, note:text?"
NAMES = [c.split(":")[0].strip() for c in COLUMNS.split(",")]
EPOCH_MS = 1767225600000  # 2026-01-01T00:00:00Z

_MASK = (1 << 64) - 1
_STATIONS = [('"Peak ""%d"", north"' % n if n % 25 == 0 else "Südhang-%d" % n if n % 9 == 0 else "station-%03d" % n)
             for n in range(500)]
_NOTES = ["reading taken by the automatic gateway; sensor nominal", '"battery at 81 %, radio quality good, mast upright"',
          "", "wind gusts from the west; mast was swaying a little", '"operator said ""all fine"", nothing to be done"',
          "snow on the northern side of the radiation shield: 3 cm"]


def _random(i):
    """64 well-mixed bits for each i (the finaliser of SplitMix64)."""
    z = (i * 0x9E3779B97F4A7C15 + 0x1234567) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _time(i):
    day, second = divmod(i, 86400)
    month, day = divmod(day, 28)
    return "2026-%02d-%02dT%02d:%02d:%02dZ" % (1 + month % 12, 1 + day, second // 3600, second // 60 % 60, second % 60)


def record(i):
    """(key, value, timestamp in ms) of record number i; the value may be None."""
    r = _random(i)
    station = r % 500
    fields = [_time(i), _STATIONS[station], "%d.%02d" % ((r >> 9) % 70 - 30, (r >> 16) % 100),
              "" if (r >> 23) % 16 == 0 else "%d" % ((r >> 27) % 101), "%d.%d" % ((r >> 34) % 40, (r >> 40) % 10),
              _NOTES[(r >> 44) % 6]]
    defect = (r >> 48) % 84  # 0 to 6 are defects
    if defect == 0:
        del fields[3]
    elif defect == 1:
        fields.append("again")
    elif defect == 2:
        fields[2] = ("n/a", "--", "1,5", "0x1F", "12.")[(r >> 55) % 5]
    elif defect == 3:
        fields[1] = ""
    elif defect == 4:
        fields[5] = '"the line was cut'
    separator = " , " if (r >> 57) % 8 == 0 else ","
    text = separator.join(fields) + ("\r" if (r >> 60) % 8 == 0 else "")
    value = text.encode()
    if defect == 5:
        value += b"\xff\xfe"
    elif defect == 6:
        value = None
    return b"%d" % station, value, EPOCH_MS + i * 1000


_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _split(line):
    """RFC 4180 within one line, blanks around fields dropped. The fields, or what is wrong."""
    fields = []
    at = 0
    while True:
        while at < len(line) and line[at] in " \t":
            at += 1
        if line[at:at + 1] == '"':
            parts = []
            at += 1
            while True:
                end = line.find('"', at)
                if end < 0:
                    return None, "unterminated quote"
                parts.append(line[at:end])
                if line[end + 1:end + 2] != '"':
                    break
                parts.append('"')
                at = end + 2
            fields.append("".join(parts))
            at = end + 1
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            if line[at:end].strip(" \t"):
                return None, "text after a closing quote"
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            fields.append(line[at:end].rstrip(" \t"))
        if end == len(line):
            return fields, None
        at = end + 1


def cleaned(value):
    """What line_cleaner must make of a value: ("clean", JSON bytes) or ("rejected", reason, column)."""
    if value is None:
        return "rejected", "null value", None
    try:
        line = value.decode()
    except UnicodeDecodeError:
        return "rejected", "not UTF-8", None
    fields, problem = _split(line[:-1] if line.endswith("\r") else line)
    if problem:
        return "rejected", problem, None
    if len(fields) != len(NAMES):
        return "rejected", "wrong number of fields", None
    parts = []
    for name, field in zip(NAMES, fields):
        if field == "":
            if name not in ("humidity", "note"):
                return "rejected", "empty", name
            text = "null"
        elif name in ("time", "station", "note"):
            text = json.dumps(field, ensure_ascii=False)
        elif _NUMBER.fullmatch(field):
            text = field
        else:
            return "rejected", "not a number", name
        parts.append('"%s":%s' % (name, text))
    return "clean", ("{" + ",".join(parts) + "}").encode()


def part(first, step, count):
    """Records first, first + step, ... below count, each with what must become of it: (record, verdict) pairs."""
    made = [record(i) for i in range(first, count, step)]
    return [(r, cleaned(r[1])) for r in made]
