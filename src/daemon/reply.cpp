#include "daemon/reply.hpp"

#include "api/system.hpp"

namespace coffer::daemon {

int http_status(Code code) {
    switch (code) {
        case Code::InvalidArgument:
            return 400;
        case Code::Unauthorized:
            return 401;
        case Code::Forbidden:
            return 403;
        case Code::NotFound:
            return 404;
        case Code::Conflict:
            return 409;
        case Code::NotModified:
            return 304;
        case Code::Unavailable:
            return 503;
        case Code::NotImplemented:
            return 501;
        case Code::Cancelled:
            return 499;
        case Code::Internal:
            return 500;
    }
    return 500;
}

http::Reply error_reply(const Error& error) {
    const int status = http_status(error.code);
    if (status == 304) return http::Reply::empty(status);
    return json_reply(api::ErrorResponse{to_utf8(error.message)}, status);
}

http::Reply list_reply(NextItem next) {
    return http::Reply::stream(200, "application/json",
                               [next = std::move(next)](http::StreamWriter& out) -> Result<void> {
                                   constexpr std::size_t kPiece = std::size_t{1} << 16U;
                                   std::string piece = "[";
                                   for (bool first = true;; first = false) {
                                       const auto item = TRY(next());
                                       if (!item) break;
                                       if (!first) piece += ',';
                                       piece += *item;
                                       if (piece.size() < kPiece) continue;
                                       TRY(out.write(piece));
                                       piece.clear();
                                   }
                                   return out.write(piece + "]\n");
                               });
}

std::string stream_type(bool tty, ApiVersion version) {
    const bool multiplexed = !tty && version >= ApiVersion{1, 42};
    return multiplexed ? "application/vnd.docker.multiplexed-stream"
                       : "application/vnd.docker.raw-stream";
}

http::Reply progress_reply(std::function<Result<void>(const SendProgress&)> run) {
    return http::Reply::stream(
        200, "application/json", [run = std::move(run)](http::StreamWriter& out) -> Result<void> {
            bool begun = false;
            Result<void> sent;
            const auto send = [&](const api::ProgressMessage& message) {
                begun = true;
                const std::string line = json::encode(message, {.escape = json::Escape::Plain});
                if (sent) sent = out.write(line + "\r\n");
            };
            auto result = run(send);
            if (result || !begun) return result;
            api::ProgressMessage failure;
            failure.error = to_utf8(result.error().message);
            failure.error_detail = api::ErrorDetail{0, failure.error};
            send(failure);
            return sent;
        });
}

}  // namespace coffer::daemon
