"""The form of protocol/schemas/*.msg, and its reader.

A file describes one API (request and response), one record of a coordinator's topic (key and value) or
one piece of data:

    # A sentence on what it is for.
    api 22 init_producer_id                | record 2 group_metadata        | data aborted_txn
    versions 0-6 flexible 2+ unstable 6    | (versions stand behind         | versions 0
                                           |  `key` and `value`)            |
    request                                | key versions 0                 | fields
      transactional_id  string?            |   group  string                |   producer_id  int64
      producer_id       int64    3+  = -1  |                                |
    response                               | value versions 0-4 flexible 4+ |
      ...                                  |   ...                          |
    struct NAME                  a struct that several fields of the section above use

A field is a line: name, type, versions it exists in (all of its parent's, if left out), then
`tag N` (a tagged field), `nullable VERSIONS` (null is legal in these only), `= VALUE` (its default).
Types: bool int8 int16 int32 int64 uint16 uint32 float64 string bytes records uuid, a struct's name, and
`[]` in front for an array. A `?` behind: null is legal in every version. The fields of a struct used once
stand indented below the field.

`flexible N+`: from version N on lengths are variable-length integers and structs end in tagged fields.
`unstable N`: version N exists, but a broker does not offer it. Order on the wire is the order of the
lines, tagged fields excepted.
"""

import dataclasses
import pathlib

PRIMITIVES = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'uint32': 4, 'int64': 8, 'float64': 8,
              'uuid': 16, 'string': 1, 'bytes': 1, 'records': 1}


class SchemaError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Range:
    low: int
    high: int

    @staticmethod
    def parse(text, last):
        low, dash, high = text.partition('-')
        if low.endswith('+'):
            return Range(int(low[:-1]), last)
        return Range(int(low), int(high if dash else low))

    def covers(self, other):
        return self.low <= other.low and self.high >= other.high


@dataclasses.dataclass
class Field:
    name: str
    type: str  # without [] and ?
    is_array: bool
    versions: Range
    nullable: Range | None
    tag: int | None
    default: str | None  # as written; None when left out
    children: list

    @property
    def is_struct(self):
        return self.type not in PRIMITIVES


@dataclasses.dataclass
class Message:
    name: str
    kind: str  # request, response, key, value or data
    number: int | None  # API key or record type
    versions: Range
    flexible: int | None
    fields: list
    structs: dict  # name -> fields, in order of definition

    def struct_fields(self, name):
        return self.structs[name]


@dataclasses.dataclass
class Schema:
    path: pathlib.Path
    story: str
    kind: str  # api, record or data
    number: int | None
    name: str
    unstable: int | None
    messages: list


def _header(words, kind):
    """`versions R [flexible N+] [unstable N]` as a dictionary."""
    found = dict(zip(words[::2], words[1::2]))
    low, _, high = found['versions'].partition('-')
    versions = Range(int(low), int(high or low))
    flexible = int(found['flexible'].rstrip('+')) if 'flexible' in found else None
    unstable = int(found['unstable']) if 'unstable' in found else None
    return versions, flexible, unstable


def _field(words, parent, last):
    name, type_ = words[0], words[1]
    nullable_always = type_.endswith('?')
    type_ = type_.rstrip('?')
    is_array = type_.startswith('[]')
    rest = words[2:]
    versions = parent
    if rest and rest[0][0].isdigit():
        versions = Range.parse(rest.pop(0), last)
    field = Field(name, type_.removeprefix('[]'), is_array, versions, versions if nullable_always else None, None,
                  None, [])
    while rest:
        word = rest.pop(0)
        if word == 'tag':
            field.tag = int(rest.pop(0))
        elif word == 'nullable':
            field.nullable = Range.parse(rest.pop(0), last)
        elif word == '=':
            field.default = rest.pop(0)
        else:
            raise SchemaError(f'unknown word {word}')
    return field


def _parse_line(schema, state, line):
    depth = (len(line) - len(line.lstrip(' '))) // 2
    words = line.split()
    if depth > 0:
        stack = state['stack']
        if depth > len(stack):
            raise SchemaError('indented too far')
        message = schema.messages[-1]
        fields, parent = stack[depth - 1]
        field = _field(words, parent, message.versions.high)
        fields.append(field)
        del stack[depth:]
        stack.append((field.children, field.versions))
        return
    word = words[0]
    if word == 'api' or word == 'record':
        schema.kind, schema.number, schema.name = word, int(words[1]), words[2]
    elif word == 'data':
        schema.kind, schema.name = word, words[1]
    elif word == 'versions':
        state['versions'], state['flexible'], schema.unstable = _header(words, schema.kind)
    elif word == 'struct':
        message = schema.messages[-1]
        fields = message.structs[words[1]] = []
        state['stack'] = [(fields, message.versions)]
    elif word in ('request', 'response', 'key', 'value', 'fields'):
        versions, flexible = state.get('versions'), state.get('flexible')
        if word in ('key', 'value'):
            versions, flexible, _ = _header(words[1:], schema.kind)
        name = schema.name if word == 'fields' else f'{schema.name}_{word}'
        kind = 'data' if word == 'fields' else word
        message = Message(name, kind, schema.number, versions, flexible, [], {})
        schema.messages.append(message)
        state['stack'] = [(message.fields, versions)]
    else:
        raise SchemaError(f'unknown word {word}')


def _inline_structs(message):
    """Moves structs that stand below a field into message.structs, innermost first."""
    shared = message.structs
    message.structs = {}

    def visit(fields):
        for field in fields:
            if field.children:
                if field.type in shared or field.type in message.structs:
                    raise SchemaError(f'struct {field.type} is defined twice')
                visit(field.children)
                message.structs[field.type] = field.children
            elif field.is_struct and field.type not in message.structs:
                if field.type not in shared:
                    raise SchemaError(f'no type {field.type}')
                visit(shared[field.type])
                message.structs[field.type] = shared[field.type]

    visit(message.fields)


def _check(message):
    def visit(fields, where):
        names = [f.name for f in fields]
        tags = [f.tag for f in fields if f.tag is not None]
        if len(set(names)) != len(names) or len(set(tags)) != len(tags):
            raise SchemaError(f'a name or tag occurs twice in {where}')
        for f in fields:
            if f.tag is not None and (message.flexible is None or f.versions.low < message.flexible):
                raise SchemaError(f'{f.name} is tagged in a version that is not flexible')

    visit(message.fields, message.name)
    for name, fields in message.structs.items():
        visit(fields, name)


def parse(path):
    path = pathlib.Path(path)
    schema = Schema(path, '', '', None, '', None, [])
    state = {}
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        text = line.partition('#')
        if not text[0].strip():
            schema.story = schema.story or text[2].strip()
            continue
        try:
            _parse_line(schema, state, text[0].rstrip())
        except (SchemaError, ValueError, IndexError, KeyError) as error:
            raise SchemaError(f'{path}:{number}: {error}') from error
    for message in schema.messages:
        try:
            _inline_structs(message)
            _check(message)
        except SchemaError as error:
            raise SchemaError(f'{path}: {message.name}: {error}') from error
    return schema
