#!/usr/bin/env python3
"""Makes C++ out of the message schemas (their form: schema.py).

    gen.py messages SCHEMA OUTPUT_DIR   one .h for each message of the file, and <schema>.cc for all of them
    gen.py api OUTPUT SCHEMA...         api_key and the table of all APIs
    gen.py tests SCHEMA OUTPUT_DIR      the part that only tests need: <schema>_testing.cc
    gen.py test_index OUTPUT SCHEMA...  the list of all messages for tests
"""

import pathlib
import sys

import schema as schemas

CPP_TYPES = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t', 'int32': 'int32_t',
             'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double', 'uuid': 'uuid', 'records': 'iobuf'}
VIEW_TYPES = {'string': 'std::string_view', 'bytes': 'bytes_view'}
OWNED_TYPES = {'string': 'std::string', 'bytes': 'std::vector<std::byte>'}


class Emitter:
    """What one message's C++ needs to know."""

    def __init__(self, schema, message):
        self.schema = schema
        self.message = message
        self.text_types = VIEW_TYPES if message.kind == 'request' else OWNED_TYPES

    # --- types and defaults

    def element_type(self, field):
        if field.is_struct:
            return field.type
        return CPP_TYPES.get(field.type) or self.text_types[field.type]

    def cpp_type(self, field):
        name = self.element_type(field)
        if field.is_array:
            name = f'std::vector<{name}>'
        return f'std::optional<{name}>' if field.nullable else name

    def default_is_null(self, field):
        if not field.nullable:
            return False
        return field.default == 'null' or (field.default is None and field.type == 'records')

    def scalar_default(self, field):
        """The default of a field that is neither array nor struct, as a C++ literal."""
        value = field.default
        if field.type == 'bool':
            return value or 'false'
        if field.type == 'float64':
            return value or '0'
        if field.type.startswith(('int', 'uint')):
            number = int(value or '0', 0)
            if number == -2**31:
                return 'INT32_MIN'
            return 'INT64_MAX' if number == 2**63 - 1 else str(number)
        if value not in (None, 'null', '""'):
            raise schemas.SchemaError(f'{field.name}: only empty defaults are known for {field.type}')
        return None

    def initializer(self, field):
        if field.nullable:
            return '' if self.default_is_null(field) else '{std::in_place}'
        if field.is_array or field.is_struct:
            return ''
        literal = self.scalar_default(field)
        return '' if literal is None else f' = {literal}'

    def non_default_test(self, field, value):
        """An expression that is true when a tagged field has to be written."""
        if field.nullable:
            if self.default_is_null(field):
                return f'{value}.has_value()'
            return f'!({value}.has_value() && {value}->empty())'
        if field.is_array or field.type in ('string', 'bytes', 'records'):
            return f'!{value}.empty()'
        if field.is_struct:
            return f'!({value} == {self.message.name}::{field.type}{{}})'
        if field.type == 'uuid':
            return f'!{value}.is_zero()'
        return f'{value} != {self.scalar_default(field)}'

    # --- versions

    def when(self, field, parent):
        """The condition under which `field` is on the wire, given that its struct is; '' for always."""
        tests = []
        if field.versions.low > parent.low:
            tests.append(f'v >= {field.versions.low}')
        if field.versions.high < parent.high:
            tests.append(f'v <= {field.versions.high}')
        return ' && '.join(tests)

    def null_when(self, field):
        """The condition under which null is legal, or 'true'."""
        if field.nullable.covers(field.versions):
            return 'true'
        tests = [f'v >= {field.nullable.low}'] if field.nullable.low > field.versions.low else []
        if field.nullable.high < field.versions.high:
            tests.append(f'v <= {field.nullable.high}')
        return ' && '.join(tests) or 'true'

    def wire_bytes_min(self, field):
        """The least an element of this field's array takes on the wire, over all versions."""
        if not field.is_struct:
            return schemas.PRIMITIVES[field.type]
        least = None
        versions = field.versions
        for v in range(versions.low, versions.high + 1):
            total = 0
            for child in self.message.structs[field.type]:
                if child.tag is None and child.versions.low <= v <= child.versions.high:
                    if child.is_array or child.nullable and child.is_struct:
                        total += 1
                    else:
                        total += self.wire_bytes_min(child)
            least = total if least is None else min(least, total)
        return max(1, least)

    # --- the header

    def member_lines(self, fields):
        return [f'{self.cpp_type(f)} {f.name}{self.initializer(f)};' for f in fields]

    def equality(self, name, fields):
        if not any(self.needs_same(f) for f in fields):
            return [f'friend bool operator==(const {name}&, const {name}&) = default;']
        terms = [f'same(a.{f.name}, b.{f.name})' if self.needs_same(f) else f'a.{f.name} == b.{f.name}' for f in fields]
        return [f'friend bool operator==(const {name}& a, const {name}& b) {{',
                '  return ' + ' &&\n             '.join(terms) + ';', '}']

    def needs_same(self, field):
        return not field.is_array and self.element_type(field) in ('bytes_view', 'iobuf')

    def header(self):
        m = self.message
        lines = [f'// Generated by protocol/gen.py from protocol/schemas/{self.schema.path.name}.', '#pragma once', '']
        if self.schema.kind == 'api':
            lines.append('#include "protocol/generated/api_key.h"')
        lines += ['#include "protocol/message.h"', '', 'namespace millrace::protocol {', '',
                  f'// {self.schema.story}', f'struct {m.name} {{']
        if self.schema.kind == 'api':
            lines.append(f'  static constexpr api_key api = api_key::{self.schema.name};')
        elif self.schema.kind == 'record':
            lines.append(f'  static constexpr int16_t record_type = {self.schema.number};')
        flexible = 'never_flexible' if m.flexible is None else m.flexible
        lines += [f'  static constexpr int16_t version_min = {m.versions.low};',
                  f'  static constexpr int16_t version_max = {m.versions.high};',
                  f'  static constexpr int16_t flexible_min = {flexible};', '']
        for name, fields in m.structs.items():
            lines.append(f'  struct {name} {{')
            lines += ['    ' + line for line in self.member_lines(fields) + [''] + self.equality(name, fields)]
            lines += ['  };', '']
        lines += ['  ' + line for line in self.member_lines(m.fields)]
        lines += ['', f'  static result<{m.name}> decode(reader& in, int16_t version);',
                  '  void encode(writer& out, int16_t version) const;', '']
        lines += ['  ' + line for line in self.equality(m.name, m.fields)]
        return lines + ['};', '', '}  // namespace millrace::protocol']

    # --- reading

    def read_value(self, field, path):
        """Lines that read one field that is there, into m.<name>."""
        target = f'm.{field.name}'
        where = f'"{path}{field.name}"'
        if not field.is_array and not field.is_struct:
            extra = ''
            if field.nullable and self.null_when(field) != 'true':
                extra = f', {self.null_when(field)}'
            return [f'in.get({target}, {where}{extra});']
        if not field.is_array:  # a struct
            if not field.nullable:
                return [f'read(in, v, {target});']
            return [f'if (in.struct_is_present({where})) {{', f'  read(in, v, {target}.emplace({self.message.name}::{field.type}{{}}));', '} else {',
                    f'  {target}.reset();', '}']
        element = f'{self.message.name}::{field.type}' if field.is_struct else self.element_type(field)
        read_one = 'read(in, v, element);' if field.is_struct else f'in.get(element, {where});'
        loop = ['  if (!in.ok()) return;', f'  {read_one}', '}']
        size = f'array_length<{element}>({self.wire_bytes_min(field)}, {where}'
        if not field.nullable:
            return [f'{target}.resize(in.{size}));', f'for (auto& element : {target}) {{'] + loop
        return ([f'if (const auto count = in.nullable_{size}, {self.null_when(field)})) {{',
                 f'  for (auto& element : {target}.emplace(*count)) {{'] + ['  ' + line for line in loop] +
                ['} else {', f'  {target}.reset();', '}'])

    def guarded(self, field, parent, lines):
        condition = self.when(field, parent)
        if not condition:
            return lines
        return [f'if ({condition}) {{'] + ['  ' + line for line in lines] + ['}']

    def reads(self, fields, parent, path):
        lines = []
        for field in fields:
            if field.tag is None:
                lines += self.guarded(field, parent, self.read_value(field, path))
        where = f'"{path}tagged fields"'
        tagged = [f for f in fields if f.tag is not None]
        if self.message.flexible is None:
            return lines
        if not tagged:
            return lines + [f'in.skip_tags({where});']
        lines.append(f'for (reader::tagged_section tags(in, {where}); tags.next();) {{')
        for field in tagged:
            condition = self.when(field, parent)
            test = f'tags.tag() == {field.tag}' + (f' && {condition}' if condition else '')
            lines += [f'  if ({test}) {{'] + ['    ' + line for line in self.read_value(field, path)]
            lines += ['    continue;', '  }']
        return lines + ['  tags.skip();', '}']

    # --- writing

    def write_value(self, field):
        value = f'm.{field.name}'
        if not field.is_array and not field.is_struct:
            extra = ''
            if field.nullable and self.null_when(field) != 'true':
                extra = f', {self.null_when(field)}'
            return [f'out.put({value}{extra});']
        if not field.is_array:
            if not field.nullable:
                return [f'write(out, v, {value});']
            return [f'out.put(int8_t{{{value} ? int8_t{{1}} : int8_t{{-1}}}});', f'if ({value}) write(out, v, *{value});']
        write_one = 'write(out, v, element);' if field.is_struct else 'out.put(element);'
        # By value where that is the cheap way.
        by = 'const auto&' if field.is_struct or field.type in ('string', 'bytes', 'records', 'uuid') else 'const auto'
        if not field.nullable:
            return [f'out.put_array_length({value}.size());', f'for ({by} element : {value}) {write_one}']
        null = self.null_when(field)
        lines = [f'if ({value}) {{', f'  out.put_array_length({value}->size());',
                 f'  for ({by} element : *{value}) {write_one}']
        if null == 'true':
            return lines + ['} else {', '  out.put_null_array();', '}']
        return lines + [f'}} else if ({null}) {{', '  out.put_null_array();', '} else {', '  out.put_array_length(0);', '}']

    def writes(self, fields, parent):
        lines = []
        for field in fields:
            if field.tag is None:
                lines += self.guarded(field, parent, self.write_value(field))
        if self.message.flexible is None:
            return lines
        tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
        if not tagged:
            return lines + ['out.put_tag_count(0);']
        for field in tagged:
            condition = self.when(field, parent)
            test = (condition + ' && ' if condition else '') + self.non_default_test(field, f'm.{field.name}')
            lines.append(f'const bool has_{field.name} = {test};')
        total = ' + '.join(f'has_{f.name}' for f in tagged)
        lines.append(f'out.put_tag_count({total});')
        # Where tagged fields exist in fewer versions than the message is flexible in, `has_` is false in the rest.
        for field in tagged:
            lines += [f'if (has_{field.name}) {{', f'  const size_t begun = out.begin_tag({field.tag});']
            lines += ['  ' + line for line in self.write_value(field)] + ['  out.end_tag(begun);', '}']
        return lines

    def functions(self):
        """read and write for the message and each of its structs."""
        m = self.message
        paths = struct_paths(m)
        structs = [(f'{m.name}::{n}', fields, struct_versions(m, n), paths[n]) for n, fields in m.structs.items()]
        lines = []
        for kind, fields, versions, path in structs + [(m.name, m.fields, m.versions, '')]:
            lines += [f'void read([[maybe_unused]] reader& in, [[maybe_unused]] int16_t v, [[maybe_unused]] {kind}& m) {{']
            lines += ['  ' + line for line in self.reads(fields, versions, path)] + ['}', '']
            lines += [f'void write([[maybe_unused]] writer& out, [[maybe_unused]] int16_t v, '
                      f'[[maybe_unused]] const {kind}& m) {{']
            lines += ['  ' + line for line in self.writes(fields, versions)] + ['}', '']
        return lines

    def entry_points(self):
        name = self.message.name
        return [f'result<{name}> {name}::decode(reader& in, int16_t version) {{',
                '  MR_ASSERT(version >= version_min && version <= version_max);',
                '  in.set_flexible(version >= flexible_min);', f'  {name} message;', '  read(in, version, message);',
                f'  MR_TRY(in.status("{name}", version));', '  return message;', '}', '',
                f'void {name}::encode(writer& out, int16_t version) const {{',
                '  MR_ASSERT(version >= version_min && version <= version_max);',
                '  out.set_flexible(version >= flexible_min);', '  write(out, version, *this);', '}', '']

    # --- what tests need

    def fresh(self, field):
        return f'.emplace({self.message.name}::{field.type}{{}})' if field.nullable else ''

    def random_value(self, field):
        value = f'm.{field.name}'
        if field.is_array:
            fill = ['for (auto& element : array) random_fill(from, v, element);'] if field.is_struct else [
                'for (auto& element : array) from.fill(element);']
            declare = f'auto& array = {value}.emplace(from.count());' if field.nullable else f'auto& array = {value};'
            lines = [declare] + ([] if field.nullable else ['array.resize(from.count());']) + fill
        elif field.is_struct:
            lines = [f'random_fill(from, v, {value}' + self.fresh(field) + ');']
        else:
            lines = [f'from.fill({value}' + ('.emplace());' if field.nullable else ');')]
        if field.nullable:
            lines = [f'if (({self.null_when(field)}) && from.chooses_null()) {{', f'  {value}.reset();', '} else {'] + [
                '  ' + line for line in lines] + ['}']
        elif field.is_array:
            lines = ['{'] + ['  ' + line for line in lines] + ['}']
        if field.tag is not None:
            lines = ['if (!from.chooses_default()) {'] + ['  ' + line for line in lines] + ['}']
        return lines

    def parsed_value(self, field):
        value, node = f'm.{field.name}', f'from.at("{field.name}")'
        if field.is_array:
            one = 'parse_fields(item, element);' if field.is_struct else 'item.to(element);'
            declare = f'{value}.emplace()' if field.nullable else value
            lines = [f'auto& array = {declare};', 'array.clear();', f'for (const auto& item : {node}.items()) {{',
                     '  auto& element = array.emplace_back();', f'  {one}', '}']
        elif field.is_struct:
            lines = [f'parse_fields({node}, {value}' + self.fresh(field) + ');']
        else:
            lines = [f'{node}.to({value}' + ('.emplace());' if field.nullable else ');')]
        if field.nullable:
            lines = [f'if ({node}.is_null()) {{', f'  {value}.reset();', '} else {'] + ['  ' + x for x in lines] + ['}']
        return [f'if (from.has("{field.name}")) {{'] + ['  ' + line for line in lines] + ['}']

    def testing(self):
        m = self.message
        lines = []
        for name, fields, kind, parent in [(n, f, f'{m.name}::{n}', struct_versions(m, n))
                                           for n, f in m.structs.items()] + [(m.name, m.fields, m.name, m.versions)]:
            lines += [f'void random_fill([[maybe_unused]] value_maker& from, [[maybe_unused]] int16_t v, '
                      f'[[maybe_unused]] {kind}& m) {{']
            for field in fields:
                lines += ['  ' + line for line in self.guarded(field, parent, self.random_value(field))]
            lines += ['}', '']
            lines += [f'void parse_fields([[maybe_unused]] const value& from, [[maybe_unused]] {kind}& m) {{']
            for field in fields:
                lines += ['  ' + line for line in self.parsed_value(field)]
            lines += ['}', '']
        return lines


def struct_versions(message, name):
    """Versions in which a struct can occur: the union over the fields that hold it."""
    ranges = [f.versions for fields in [message.fields, *message.structs.values()] for f in fields if f.type == name]
    return schemas.Range(min(r.low for r in ranges), max(r.high for r in ranges))


def struct_paths(message):
    """For each struct the field path that leads to it, for error messages; of several the first."""
    paths = {}

    def visit(fields, path):
        for field in fields:
            if field.is_struct and field.type not in paths:
                paths[field.type] = f'{path}{field.name}.'
                visit(message.structs[field.type], paths[field.type])

    visit(message.fields, '')
    return paths


def api_key_header(all_schemas):
    apis = sorted((s for s in all_schemas if s.kind == 'api'), key=lambda s: s.number)
    lines = ['// Generated by protocol/gen.py from protocol/schemas.', '#pragma once', '', '#include <array>',
             '#include <cstdint>', '#include <string_view>', '', 'namespace millrace::protocol {', '',
             'enum class api_key : int16_t {'] + [f'  {s.name} = {s.number},' for s in apis] + ['};', '',
             '// One API as its schema has it; version_max leaves out what is unstable.', 'struct api_info {',
             '  api_key key;', '  std::string_view name;', '  int16_t version_min;', '  int16_t version_max;',
             '  int16_t flexible_min;', '};', '', f'inline constexpr std::array<api_info, {len(apis)}> api_table{{{{']
    for s in apis:
        request = s.messages[0]
        high = request.versions.high if s.unstable is None else s.unstable - 1
        flexible = 'INT16_MAX' if request.flexible is None else request.flexible
        lines.append(f'    {{api_key::{s.name}, "{s.name}", {request.versions.low}, {high}, {flexible}}},')
    return lines + ['}};', '', '}  // namespace millrace::protocol']


def source(schema):
    emitters = [Emitter(schema, m) for m in schema.messages]
    lines = [f'// Generated by protocol/gen.py from protocol/schemas/{schema.path.name}.']
    lines += [f'#include "protocol/generated/{m.name}.h"' for m in schema.messages]
    lines += ['', 'namespace millrace::protocol {', '', 'namespace {', '']
    for emitter in emitters:
        lines += emitter.functions()
    lines += ['}  // namespace', '']
    for emitter in emitters:
        lines += emitter.entry_points()
    return lines + ['}  // namespace millrace::protocol']


def testing_source(schema):
    lines = [f'// Generated by protocol/gen.py from protocol/schemas/{schema.path.name}.']
    lines += [f'#include "protocol/generated/{m.name}.h"' for m in schema.messages]
    lines += ['#include "tests/protocol/message_case.h"', '', 'namespace millrace::protocol::testing {', '', 'namespace {',
              '']
    for message in schema.messages:
        lines += Emitter(schema, message).testing()
    lines += ['}  // namespace', '']
    for message in schema.messages:
        lines += ['template <>', f'struct message_traits<{message.name}> {{',
                  f'  static constexpr std::string_view name = "{message.name}";',
                  f'  static void fill(value_maker& from, int16_t v, {message.name}& m) {{ random_fill(from, v, m); }}',
                  f'  static void parse(const value& from, {message.name}& m) {{ parse_fields(from, m); }}', '};', '',
                  f'message_case {message.name}_case() {{ return make_case<{message.name}>(); }}', '']
    return lines + ['}  // namespace millrace::protocol::testing']


def test_index(all_schemas):
    names = [m.name for s in sorted(all_schemas, key=lambda s: s.path.name) for m in s.messages]
    lines = ['// Generated by protocol/gen.py from protocol/schemas.', '#include "tests/protocol/message_case.h"', '',
             'namespace millrace::protocol::testing {', '']
    lines += [f'message_case {name}_case();' for name in names]
    lines += ['', 'const std::vector<message_case>& all_messages() {', '  static const std::vector<message_case> all = {']
    lines += [f'      {name}_case(),' for name in names]
    return lines + ['  };', '  return all;', '}', '', '}  // namespace millrace::protocol::testing']


def write(path, lines):
    pathlib.Path(path).write_text('\n'.join(lines) + '\n', encoding='utf-8')


def main(arguments):
    command, *rest = arguments
    if command == 'messages':
        schema, directory = schemas.parse(rest[0]), pathlib.Path(rest[1])
        for message in schema.messages:
            write(directory / f'{message.name}.h', Emitter(schema, message).header())
        write(directory / f'{schema.path.stem}.cc', source(schema))
    elif command == 'api':
        write(rest[0], api_key_header([schemas.parse(p) for p in rest[1:]]))
    elif command == 'tests':
        schema = schemas.parse(rest[0])
        write(pathlib.Path(rest[1]) / f'{schema.path.stem}_testing.cc', testing_source(schema))
    elif command == 'test_index':
        write(rest[0], test_index([schemas.parse(p) for p in rest[1:]]))
    else:
        raise SystemExit(__doc__)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except schemas.SchemaError as error:
        raise SystemExit(f'error: {error}')
