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

}  // namespace coffer::daemon
