#pragma once
// Archives as the bodies of replies. Pure function.

#include <memory>
#include <string>

#include "engine/files.hpp"
#include "http/message.hpp"

namespace coffer::daemon {

inline http::Reply tar_reply(std::string type, std::shared_ptr<engine::FileArchive> tar) {
    return http::Reply::stream(
        200, std::move(type), [tar = std::move(tar)](http::StreamWriter& out) -> Result<void> {
            constexpr std::size_t kPiece = std::size_t{1} << 18U;
            std::string piece(kPiece, '\0');
            for (;;) {
                const std::size_t n = TRY(tar->read(piece.data(), piece.size()));
                if (n == 0) return {};
                TRY(out.write(std::string_view(piece).substr(0, n)));
            }
        });
}

}  // namespace coffer::daemon
