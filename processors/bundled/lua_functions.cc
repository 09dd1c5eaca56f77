#include "processors/bundled/lua_functions.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>

// Lua's errors leave these functions by longjmp: they hold nothing to destroy.
namespace millrace::bundled {
namespace {

std::string_view text_of(lua_State* lua, int index) {
  luaL_checktype(lua, index, LUA_TSTRING);
  std::size_t size = 0;
  const char* text = lua_tolstring(lua, index, &size);
  return {text, size};
}

// Only what is a number: no text that looks like one.
lua_Number number_of(lua_State* lua, int index) {
  luaL_checktype(lua, index, LUA_TNUMBER);
  return lua_tonumber(lua, index);
}

int give(lua_State* lua, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
  return 1;
}

// A whole number where it is one that fits.
int give_rounded(lua_State* lua, lua_Number value) {
  constexpr lua_Number limit = 9223372036854775808.0;
  if (value >= -limit && value < limit)
    lua_pushinteger(lua, static_cast<lua_Integer>(value));
  else
    lua_pushnumber(lua, value);
  return 1;
}

template <double (*F)(double)>
int of_number(lua_State* lua) {
  lua_pushnumber(lua, F(number_of(lua, 1)));
  return 1;
}

template <double (*F)(double)>
int rounded(lua_State* lua) {
  const lua_Number value = number_of(lua, 1);
  if (lua_isinteger(lua, 1)) {
    lua_settop(lua, 1);
    return 1;
  }
  return give_rounded(lua, F(value));
}

int absolute(lua_State* lua) {
  const lua_Number value = number_of(lua, 1);
  if (lua_isinteger(lua, 1)) {
    const auto whole = static_cast<std::uint64_t>(lua_tointeger(lua, 1));
    lua_pushinteger(lua, static_cast<lua_Integer>(lua_tointeger(lua, 1) < 0 ? 0 - whole : whole));
  } else {
    lua_pushnumber(lua, std::fabs(value));
  }
  return 1;
}

// round(x) is whole; round(x, digits) has so many behind the point. Halves go away from zero.
int round_to(lua_State* lua) {
  const lua_Number value = number_of(lua, 1);
  if (lua_gettop(lua) < 2) return rounded<std::round>(lua);
  const lua_Number scale = std::pow(10.0, std::trunc(number_of(lua, 2)));
  const lua_Number scaled = value * scale;
  lua_pushnumber(lua, std::isfinite(scaled) && scale != 0 ? std::round(scaled) / scale : value);
  return 1;
}

int logarithm(lua_State* lua) {
  const lua_Number value = std::log(number_of(lua, 1));
  lua_pushnumber(lua, lua_gettop(lua) < 2 ? value : value / std::log(number_of(lua, 2)));
  return 1;
}

int extreme(lua_State* lua, bool is_max) {
  const int count = lua_gettop(lua);
  number_of(lua, 1);
  int best = 1;
  for (int i = 2; i <= count; ++i) {
    number_of(lua, i);
    if (lua_compare(lua, is_max ? best : i, is_max ? i : best, LUA_OPLT) != 0) best = i;
  }
  lua_pushvalue(lua, best);
  return 1;
}
int smallest(lua_State* lua) {
  return extreme(lua, false);
}
int largest(lua_State* lua) {
  return extreme(lua, true);
}

template <int (*F)(int)>
int in_case(lua_State* lua) {
  const std::string_view text = text_of(lua, 1);
  luaL_Buffer made;
  char* to = luaL_buffinitsize(lua, &made, text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    to[i] = c < 0x80 ? static_cast<char>(F(c)) : text[i];  // letters beyond ASCII stay
  }
  luaL_pushresultsize(&made, text.size());
  return 1;
}

int trim(lua_State* lua) {
  const std::string_view text = text_of(lua, 1);
  const std::size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return give(lua, "");
  return give(lua, text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

// sub(text, from, to): bytes, counted from 1; negative ones from the end, as Lua's string.sub.
int part(lua_State* lua) {
  const std::string_view text = text_of(lua, 1);
  const auto size = static_cast<lua_Integer>(text.size());
  lua_Integer from = luaL_checkinteger(lua, 2);
  lua_Integer to = luaL_optinteger(lua, 3, -1);
  if (from < 0) from = std::max<lua_Integer>(from < -size ? 1 : size + from + 1, 1);
  if (from == 0) from = 1;
  if (to < 0) to = to < -size ? 0 : size + to + 1;
  to = std::min(to, size);
  if (from > to) return give(lua, "");
  return give(lua, text.substr(static_cast<std::size_t>(from - 1), static_cast<std::size_t>(to - from + 1)));
}

int contains(lua_State* lua) {
  lua_pushboolean(lua, text_of(lua, 1).find(text_of(lua, 2)) != std::string_view::npos ? 1 : 0);
  return 1;
}
int starts_with(lua_State* lua) {
  const std::string_view part = text_of(lua, 2);
  lua_pushboolean(lua, text_of(lua, 1).substr(0, part.size()) == part ? 1 : 0);
  return 1;
}
int ends_with(lua_State* lua) {
  const std::string_view text = text_of(lua, 1);
  const std::string_view part = text_of(lua, 2);
  lua_pushboolean(lua, text.size() >= part.size() && text.substr(text.size() - part.size()) == part ? 1 : 0);
  return 1;
}

// number(text): nil if it is none. A number stays as it is.
int number(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (lua_type(lua, 1) == LUA_TNUMBER) {
    lua_settop(lua, 1);
    return 1;
  }
  if (lua_type(lua, 1) == LUA_TSTRING) {
    const std::string_view text = text_of(lua, 1);
    const char* end = text.data() + text.size();
    lua_Integer whole = 0;
    if (const auto [at, code] = std::from_chars(text.data(), end, whole); code == std::errc{} && at == end) {
      lua_pushinteger(lua, whole);
      return 1;
    }
    double value = 0;
    if (const auto [at, code] = std::from_chars(text.data(), end, value);
        code == std::errc{} && at == end && std::isfinite(value)) {
      lua_pushnumber(lua, value);
      return 1;
    }
  }
  lua_pushnil(lua);
  return 1;
}

// text(value): numbers in their shortest form, nil as nil.
int text(lua_State* lua) {
  luaL_checkany(lua, 1);
  char digits[32];
  switch (lua_type(lua, 1)) {
    case LUA_TSTRING:
      lua_settop(lua, 1);
      return 1;
    case LUA_TNUMBER: {
      const auto made = lua_isinteger(lua, 1)
                            ? std::to_chars(digits, digits + sizeof(digits), lua_tointeger(lua, 1))
                            : std::to_chars(digits, digits + sizeof(digits), lua_tonumber(lua, 1));
      return give(lua, {digits, static_cast<std::size_t>(made.ptr - digits)});
    }
    case LUA_TBOOLEAN:
      return give(lua, lua_toboolean(lua, 1) != 0 ? "true" : "false");
    case LUA_TNIL:
      lua_pushnil(lua);
      return 1;
    default:
      return luaL_error(lua, "text() takes a text, a number, true, false or nil");
  }
}

template <int Type>
int is_of(lua_State* lua) {
  luaL_checkany(lua, 1);
  lua_pushboolean(lua, lua_type(lua, 1) == Type ? 1 : 0);
  return 1;
}

}  // namespace

const std::vector<lua_function>& lua_functions() {
  static const std::vector<lua_function> all = {{"abs", absolute},
                                                {"ceil", rounded<std::ceil>},
                                                {"contains", contains},
                                                {"cos", of_number<std::cos>},
                                                {"ends_with", ends_with},
                                                {"exp", of_number<std::exp>},
                                                {"floor", rounded<std::floor>},
                                                {"is_number", is_of<LUA_TNUMBER>},
                                                {"is_text", is_of<LUA_TSTRING>},
                                                {"log", logarithm},
                                                {"lower", in_case<std::tolower>},
                                                {"max", largest},
                                                {"min", smallest},
                                                {"number", number},
                                                {"round", round_to},
                                                {"sin", of_number<std::sin>},
                                                {"sqrt", of_number<std::sqrt>},
                                                {"starts_with", starts_with},
                                                {"sub", part},
                                                {"text", text},
                                                {"trim", trim},
                                                {"upper", in_case<std::toupper>}};
  return all;
}

}  // namespace millrace::bundled
