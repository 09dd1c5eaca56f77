// lua_functions: what expressions can call. For expression.cc.
#pragma once

#include <lua.hpp>
#include <vector>

namespace millrace::bundled {

struct lua_function {
  const char* name;
  lua_CFunction call;
};

const std::vector<lua_function>& lua_functions();

}  // namespace millrace::bundled
