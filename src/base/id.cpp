#include "base/id.hpp"

#include <sys/random.h>

#include "base/text.hpp"

namespace coffer {

std::string random_hex(std::size_t bytes) {
    std::string raw(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
        const ssize_t n = ::getrandom(raw.data() + done, bytes - done, 0);
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    return to_hex(raw);
}

std::string random_id() {
    for (;;) {
        std::string id = random_hex(32);
        if (!parse_uint(id.substr(0, 12))) return id;
    }
}

}  // namespace coffer
