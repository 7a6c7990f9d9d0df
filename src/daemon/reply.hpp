#pragma once
// What the routes answer with: JSON, errors, and streams of JSON messages. Stateless.

#include "http/message.hpp"
#include "json/codec.hpp"

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

}  // namespace coffer::daemon
