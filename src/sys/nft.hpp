#pragma once
// nftables through libnftables: one text is one atomic transaction. Stateless towards its callers;
// safe from any thread (one transaction at a time).

#include <string>

#include "base/result.hpp"

namespace coffer::sys::nft {

// Applies all commands of the text or none. On success gives what `list` commands print,
// with handles.
Result<std::string> run(const std::string& commands);

}  // namespace coffer::sys::nft
