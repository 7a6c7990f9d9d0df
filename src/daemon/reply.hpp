#pragma once
// What the routes answer with: JSON, errors and streams. Stateless.

#include "api/image.hpp"
#include "daemon/request.hpp"

namespace coffer::daemon {

// The only place that knows which status a kind of error has.
int http_status(Code code);
// {"message":"..."}
http::Reply error_reply(const Error& error);

// As docker writes replies: unescaped, with a newline at the end.
template <class T>
std::string to_json(const T& object) {
    return json::encode(object, {.escape = json::Escape::Plain}) + "\n";
}
template <class T>
http::Reply json_reply(const T& object, int status = 200) {
    return http::Reply::json(status, to_json(object));
}

// A list of which each item is made when its turn has come; nullopt is its end.
using NextItem = std::function<Result<std::optional<std::string>>()>;
http::Reply list_reply(NextItem next);
template <class T>
http::Reply list_reply_of(std::function<Result<std::optional<T>>()> next) {
    return list_reply([next = std::move(next)]() -> Result<std::optional<std::string>> {
        const auto item = TRY(next());
        return item ? std::optional(json::encode(*item, {.escape = json::Escape::Plain}))
                    : std::nullopt;
    });
}

// The media type of an attached stream: with a terminal raw, without one in stdcopy frames, which
// had no type of their own before 1.42.
std::string stream_type(bool tty, ApiVersion version);

// A stream of progress messages, one JSON object a line. An error after the first message goes in
// the stream, as the status is gone by then.
using SendProgress = std::function<void(const api::ProgressMessage&)>;
http::Reply progress_reply(std::function<Result<void>(const SendProgress&)> run);

}  // namespace coffer::daemon
