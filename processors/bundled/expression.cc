#include "processors/bundled/expression.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <lua.hpp>
#include <new>
#include <utility>

#include "processors/bundled/lua_functions.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {
namespace {

// What the values of one expression may take: a record of 16 MiB, and what is made of it, fit.
constexpr std::size_t bytes_max = 256 * 1024 * 1024;
// As JSON's own limit.
constexpr int depth_max = 100;

constexpr std::string_view keywords[] = {
    "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
    "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
constexpr std::string_view reserved[] = {"record", "meta"};

template <class Names>
bool is_one_of(std::string_view word, const Names& names) {
  return std::find(std::begin(names), std::end(names), word) != std::end(names);
}

bool is_word_begin(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_word(char c) {
  return is_word_begin(c) || (c >= '0' && c <= '9');
}

void* allocate(void* user, void* at, std::size_t before, std::size_t after) {
  auto& in = *static_cast<interpreter*>(user);
  if (!at) before = 0;
  if (after == 0) {
    std::free(at);
    in.bytes -= before;
    return nullptr;
  }
  if (after > before && in.bytes + (after - before) > bytes_max) return nullptr;
  void* moved = std::realloc(at, after);
  if (moved) in.bytes = in.bytes - before + after;
  return moved;
}

// ---- JSON to Lua. Lua's errors pass through these functions by longjmp: they hold nothing to destroy.

void push(lua_State* lua, const json& value) {
  luaL_checkstack(lua, 4, "the record is nested too deeply");
  if (value.is_bool()) return lua_pushboolean(lua, value.truth() ? 1 : 0);
  if (value.is_whole()) return lua_pushinteger(lua, value.whole());
  if (value.is_number()) return lua_pushnumber(lua, value.number());
  if (value.is_text()) {
    lua_pushlstring(lua, value.text().data(), value.text().size());
    return;
  }
  if (value.is_array()) {
    const auto& all = value.array_elements();
    lua_createtable(lua, static_cast<int>(std::min<std::size_t>(all.size(), 1024)), 0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      push(lua, all[i]);
      lua_rawseti(lua, -2, static_cast<lua_Integer>(i + 1));
    }
    return;
  }
  if (value.is_object()) {
    lua_newtable(lua);
    for (const auto& [name, member] : value.object_members()) {
      lua_pushlstring(lua, name.data(), name.size());
      push(lua, member);
      lua_rawset(lua, -3);
    }
    return;
  }
  lua_pushnil(lua);
}

interpreter& interpreter_of(lua_State* lua) {
  void* user = nullptr;
  lua_getallocf(lua, &user);
  return *static_cast<interpreter*>(user);
}

std::string_view text_at(lua_State* lua, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(lua, index, &size);
  return {text, size};
}

// The __index of `record`: a member.
int index_record(lua_State* lua) {
  const row* now = interpreter_of(lua).now();
  if (!now || lua_type(lua, 2) != LUA_TSTRING) {
    lua_pushnil(lua);
    return 1;
  }
  const std::string_view name = text_at(lua, 2);
  for (const auto& member : now->value.object_members())
    if (member.first == name) {
      push(lua, member.second);
      return 1;
    }
  lua_pushnil(lua);
  return 1;
}

// The __index of `meta`.
int index_meta(lua_State* lua) {
  const row* now = interpreter_of(lua).now();
  const std::string_view name = lua_type(lua, 2) == LUA_TSTRING ? text_at(lua, 2) : std::string_view();
  if (now && name == "key") {
    const maybe_bytes key = now->from.key();
    if (key)
      lua_pushlstring(lua, key->data(), key->size());
    else
      lua_pushnil(lua);
  } else if (now && name == "timestamp") {
    lua_pushinteger(lua, now->from.timestamp_ms());
  } else if (now && name == "offset") {
    lua_pushinteger(lua, now->from.offset());
  } else {
    return luaL_error(lua, "meta has key, timestamp and offset, and no such member");
  }
  return 1;
}

void push_proxy(lua_State* lua, lua_CFunction index) {
  lua_newtable(lua);
  lua_newtable(lua);
  lua_pushcfunction(lua, index);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
}

// What expressions see as their global names.
int make_environment(lua_State* lua) {
  push_proxy(lua, index_record);
  for (const lua_function& f : lua_functions()) {
    lua_pushcfunction(lua, f.call);
    lua_setfield(lua, -2, f.name);
  }
  push_proxy(lua, index_record);
  lua_setfield(lua, -2, "record");
  push_proxy(lua, index_meta);
  lua_setfield(lua, -2, "meta");
  return 1;
}

// ---- Lua to JSON

json from_lua(lua_State* lua, int index, int depth);

json table_from_lua(lua_State* lua, int index, int depth) {
  if (depth > depth_max) throw failure("its result is nested too deeply");
  if (!lua_checkstack(lua, 4)) throw failure("its result is nested too deeply");
  const auto length = static_cast<lua_Integer>(lua_rawlen(lua, index));
  if (length > 0) {
    json made = json::array();
    for (lua_Integer i = 1; i <= length; ++i) {
      lua_rawgeti(lua, index, i);
      made.push_back(from_lua(lua, lua_gettop(lua), depth + 1));
      lua_pop(lua, 1);
    }
    return made;
  }
  // Lua has no order of its own for them.
  std::vector<std::pair<std::string, json>> members;
  lua_pushnil(lua);
  while (lua_next(lua, index) != 0) {
    if (lua_type(lua, -2) != LUA_TSTRING) throw failure("its result is a table with a name that is no text");
    std::string name(text_at(lua, -2));
    members.emplace_back(std::move(name), from_lua(lua, lua_gettop(lua), depth + 1));
    lua_pop(lua, 1);
  }
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  json made = json::object();
  for (auto& [name, value] : members) made[name] = std::move(value);
  return made;
}

json from_lua(lua_State* lua, int index, int depth) {
  switch (lua_type(lua, index)) {
    case LUA_TNIL:
      return {};
    case LUA_TBOOLEAN:
      return json(lua_toboolean(lua, index) != 0);
    case LUA_TNUMBER:
      if (lua_isinteger(lua, index)) return json(std::int64_t{lua_tointeger(lua, index)});
      if (!std::isfinite(lua_tonumber(lua, index)))
        throw failure("its result is infinite or not a number (a division by zero, perhaps)");
      return json(lua_tonumber(lua, index));
    case LUA_TSTRING: {
      const std::string_view text = text_at(lua, index);
      if (!detail::is_utf8(text)) throw failure("its result is a text that is not UTF-8");
      return json(text);
    }
    case LUA_TTABLE:
      return table_from_lua(lua, index, depth);
    default:
      throw failure("its result is neither a number, a text, true, false nor a table");
  }
}

// Behind a quote at `at`; Lua itself says what is wrong with one that is not closed.
std::size_t behind_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) at += text[at] == '\\' ? 2 : 1;
  return std::min(at + 1, text.size());
}

// Why it is no expression although Lua might take it; empty if it is one so far.
std::string objection(std::string_view text) {
  const std::string known = joined(function_names());
  std::size_t at = 0;
  char before = 0;  // the last character that is no blank
  while (at < text.size()) {
    const char c = text[at];
    const std::string_view next = text.substr(at);
    if (c == '"' || c == '\'') {
      at = behind_quoted(text, at);
      before = c;
      continue;
    }
    if (next.substr(0, 2) == "!=") return "\"not equal\" is written ~=";
    if (next.substr(0, 2) == "&&" || next.substr(0, 2) == "||")
      return "\"and\" and \"or\" are written as words";
    if (next.substr(0, 2) == "--") return "there are no comments in it";
    if (next.substr(0, 2) == "[[" || next.substr(0, 2) == "[=") return "texts stand in \"...\" or '...'";
    if (c == ':') return "there are no methods";
    if (is_word_begin(c) && (at == 0 || !is_word(text[at - 1]))) {
      std::size_t end = at;
      while (end < text.size() && is_word(text[end])) ++end;
      const std::string_view word = text.substr(at, end - at);
      if (word == "function") return "there are no functions to be written in it";
      const std::size_t behind = text.find_first_not_of(" \t\r\n", end);
      const bool is_called =
          behind != std::string_view::npos &&
          (text[behind] == '(' || text[behind] == '"' || text[behind] == '\'' || text[behind] == '{');
      if (is_called && !is_one_of(word, keywords) && (before == '.' || !is_one_of(word, function_names())))
        return "there is no function " + std::string(word) + "; there are " + known;
      at = end;
      before = 'a';
      continue;
    }
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') before = c;
    ++at;
  }
  return {};
}

// `a.b.c` as names; nothing if it is more than that.
std::vector<std::string> path_of(std::string_view text) {
  std::vector<std::string> path;
  for (;;) {
    std::size_t end = 0;
    if (text.empty() || !is_word_begin(text[0])) return {};
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(0, end);
    if (is_one_of(word, keywords)) return {};
    path.emplace_back(word);
    text.remove_prefix(end);
    if (text.empty()) break;
    if (text[0] != '.') return {};
    text.remove_prefix(1);
  }
  if (is_one_of(path[0], reserved) || is_one_of(path[0], function_names())) return {};
  return path;
}

// Without where it stands, and in the terms of records.
std::string reason_of(std::string_view why) {
  if (const std::size_t colon = why.find(": "); why.substr(0, 1) == "[" || why.substr(0, 2) == "e:")
    if (colon != std::string_view::npos) why.remove_prefix(colon + 2);
  std::string text(why);
  for (const std::string_view word : {"global '", "field '"})
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      if (word[0] == 'g') text.replace(at, word.size(), "field '");
  return text;
}

}  // namespace

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const lua_function& f : lua_functions()) names.emplace_back(f.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::shared_ptr<interpreter> interpreter::make() {
  return std::shared_ptr<interpreter>(new interpreter);
}

interpreter::interpreter() : lua_(lua_newstate(allocate, this)) {
  if (!lua_) throw std::bad_alloc();
  lua_pushcfunction(lua_, make_environment);
  if (lua_pcall(lua_, 0, 1, 0) != LUA_OK) {
    lua_close(lua_);
    throw std::bad_alloc();
  }
}

interpreter::~interpreter() {
  lua_close(lua_);
}

expression interpreter::compile(const settings& from, std::string_view key, const std::string& given) {
  const std::string text(trimmed(given));
  if (text.empty()) from.refuse(key, "an expression is expected");
  expression made(shared_from_this(), std::string(key), text);
  made.path_ = path_of(text);
  if (!made.path_.empty()) return made;
  if (const std::string why = objection(text); !why.empty()) from.refuse(key, why);
  // Brackets and a line of its own: one expression, and nothing behind it.
  const std::string chunk = "return (" + text + "\n)";
  if (luaL_loadbufferx(lua_, chunk.data(), chunk.size(), "=e", "t") != LUA_OK) {
    std::string why = reason_of(text_at(lua_, -1));
    lua_pop(lua_, 1);
    from.refuse(key, "not an expression of Lua: " + why);
  }
  lua_pushvalue(lua_, 1);  // the environment
  lua_setupvalue(lua_, -2, 1);
  made.function_ = luaL_ref(lua_, LUA_REGISTRYINDEX);
  return made;
}

json interpreter::run(int function, const row& one, std::string& why) {
  now_ = &one;
  lua_rawgeti(lua_, LUA_REGISTRYINDEX, function);
  const int status = lua_pcall(lua_, 0, 1, 0);
  now_ = nullptr;
  json made;
  try {
    if (status == LUA_OK)
      made = from_lua(lua_, lua_gettop(lua_), 0);
    else if (status == LUA_ERRMEM)
      why = "it takes more than 256 MiB of memory";
    else
      why = lua_type(lua_, -1) == LUA_TSTRING ? reason_of(text_at(lua_, -1)) : "it failed";
  } catch (const std::exception& e) {
    why = e.what();
  }
  lua_settop(lua_, 1);
  if (status == LUA_ERRMEM) lua_gc(lua_, LUA_GCCOLLECT);
  return made;
}

expression::expression(std::shared_ptr<interpreter> in, std::string what, std::string text)
    : in_(std::move(in)), what_(std::move(what)), text_(std::move(text)) {}

void expression::fail(const std::string& why) const {
  throw failure(what_ + " = \"" + text_ + "\": " + why);
}

json expression::evaluate(const row& one) const {
  if (!path_.empty()) return member_at(one.value, path_);
  std::string why;
  json made = in_->run(function_, one, why);
  if (!why.empty()) fail(why);
  return made;
}

std::optional<double> expression::number(const row& one) const {
  const json made = evaluate(one);
  if (made.is_null()) return std::nullopt;
  if (!made.is_number()) fail("a number is expected, and it is " + encode(made).substr(0, 100));
  return made.number();
}

std::optional<std::string> expression::key_text(const row& one) const {
  const json made = evaluate(one);
  if (made.is_null()) return std::nullopt;
  if (made.is_object() || made.is_array()) fail("a text, a number or a boolean is expected");
  return plain_text(made);
}

bool expression::truth(const row& one) const {
  const json made = evaluate(one);
  if (made.is_null()) return false;
  if (!made.is_bool()) fail("true or false is expected, and it is " + encode(made).substr(0, 100));
  return made.truth();
}

}  // namespace millrace::bundled
