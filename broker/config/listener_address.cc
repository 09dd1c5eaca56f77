#include "broker/config/listener_address.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "broker/config/key_spec.h"

namespace millrace::broker {
namespace {

result<listener_address> parse_one(std::string_view text) {
  listener_address address;
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0) {
    return fail(errc::invalid_config, "\"{}\": write a listener as NAME://HOST:PORT", text);
  }
  for (const char c : text.substr(0, scheme)) {
    const auto u = static_cast<unsigned char>(c);
    if (!std::isalnum(u) && c != '_' && c != '-')
      return fail(errc::invalid_config, "\"{}\": \"{}\" is no listener name", text, text.substr(0, scheme));
    address.name += static_cast<char>(std::toupper(u));
  }
  std::string_view rest = text.substr(scheme + 3);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return fail(errc::invalid_config, "\"{}\" has no port", text);
  const std::string_view digits = rest.substr(colon + 1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (code != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    return fail(errc::invalid_config, "\"{}\": \"{}\" is no port number", text, digits);
  }
  rest = rest.substr(0, colon);
  if (rest.starts_with('[') && rest.ends_with(']')) {
    rest = rest.substr(1, rest.size() - 2);
  } else if (rest.find(':') != std::string_view::npos) {
    return fail(errc::invalid_config, "\"{}\": write an IPv6 address in brackets", text);
  }
  if (rest.size() > 255 || rest.find_first_of(" /[]") != std::string_view::npos) {
    return fail(errc::invalid_config, "\"{}\": \"{}\" is no host", text, rest);
  }
  address.host = rest;
  return address;
}

}  // namespace

std::string listener_address::to_string() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("{}://[{}]:{}", name, host, port) : fmt::format("{}://{}:{}", name, host, port);
}

result<std::vector<listener_address>> parse_listeners(std::string_view text) {
  std::vector<listener_address> listeners;
  for (const std::string_view element : split_list(text)) {
    result<listener_address> one = parse_one(element);
    if (!one) return fail(std::move(one).error());
    if (std::ranges::find(listeners, one->name, &listener_address::name) != listeners.end()) {
      return fail(errc::invalid_config, "two listeners are named {}", one->name);
    }
    listeners.push_back(*std::move(one));
  }
  return listeners;
}

}  // namespace millrace::broker
