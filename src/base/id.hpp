#pragma once
// Random identifiers from the kernel's generator. Safe from any thread.

#include <string>

namespace coffer {

// 64 lower-case hex digits whose first twelve are not all decimal, so that a short id is never
// taken for a number (docker's rule).
std::string random_id();
// `bytes` random bytes as hex.
std::string random_hex(std::size_t bytes);

}  // namespace coffer
