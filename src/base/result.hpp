#pragma once
// Result<T>: a value or an Error. The subset of std::expected that we need, so that it can become
// an alias for it one day. Failing functions of the project return it and do not throw.

#include <cerrno>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/text.hpp"

namespace coffer {

// What the client can do next. One function maps it to HTTP, one to the exit status of a command.
enum class Code : std::uint8_t {
    InvalidArgument,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    NotModified,
    Unavailable,
    NotImplemented,
    Cancelled,
    Internal,
};

struct Error {
    Code code = Code::Internal;
    int sys_errno = 0;    // 0 when no system call failed
    std::string message;  // lower case, no period: what was tried, on what, and why it failed
};

// The value that fail() returns; converts to any Result.
struct [[nodiscard]] Failure {
    Error error;
};

template <class T>
class [[nodiscard]] Result {
  public:
    // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& operator*() & { return *std::get_if<0>(&state_); }
    const T& operator*() const& { return *std::get_if<0>(&state_); }
    T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }
    Error& error() & { return *std::get_if<1>(&state_); }
    const Error& error() const& { return *std::get_if<1>(&state_); }
    Error&& error() && { return std::move(*std::get_if<1>(&state_)); }
    T value_or(T other) && { return has_value() ? std::move(**this) : std::move(other); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Failure failure) : error_(std::move(failure.error)) {}

    bool has_value() const { return !error_.has_value(); }
    explicit operator bool() const { return has_value(); }
    void operator*() const {}
    Error& error() & { return *error_; }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

  private:
    std::optional<Error> error_;
};

// The kernel's words for an errno; safe from any thread.
std::string errno_text(int sys_errno);
// The code a failed system call maps to: ENOENT not found, EEXIST conflict, EACCES forbidden, ...
Code code_of_errno(int sys_errno);

template <class... Args>
Failure fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
    return Failure{Error{code, 0, fmt::format(text, std::forward<Args>(args)...)}};
}
// For a failed system call: appends the text of `sys_errno`.
template <class... Args>
Failure fail_with(int sys_errno, fmt::format_string<Args...> text, Args&&... args) {
    return Failure{
        Error{code_of_errno(sys_errno), sys_errno,
              fmt::format(text, std::forward<Args>(args)...) + ": " + errno_text(sys_errno)}};
}
// The same with the current errno, read before anything else can change it.
template <class... Args>
Failure fail_errno(fmt::format_string<Args...> text, Args&&... args) {
    const int saved = errno;
    return fail_with(saved, text, std::forward<Args>(args)...);
}
inline Failure fail(Error error) {
    return Failure{std::move(error)};
}
// "outer: inner", keeping the inner code and errno.
inline Failure wrap(Error error, std::string_view context) {
    error.message = std::string(context) + ": " + error.message;
    return Failure{std::move(error)};
}

// Says that a result is left unread on purpose, and why.
template <class T>
void ignore(const Result<T>& result, std::string_view why) {
    static_cast<void>(result);
    static_cast<void>(why);
}

[[noreturn]] void abort_at(const char* file, int line, const std::string& why);

}  // namespace coffer

// The value of a Result, or return its error from the enclosing function.
#define TRY(expression)                                                          \
    __extension__({                                                              \
        auto try_result_ = (expression);                                         \
        if (!try_result_) return ::coffer::fail(std::move(try_result_).error()); \
        *std::move(try_result_);                                                 \
    })

// The same, with a context in front of the message: TRY_CONTEXT(open(p), "read config '{}'", p).
#define TRY_CONTEXT(expression, ...)                                                              \
    __extension__({                                                                               \
        auto try_result_ = (expression);                                                          \
        if (!try_result_)                                                                         \
            return ::coffer::wrap(std::move(try_result_).error(), ::coffer::format(__VA_ARGS__)); \
        *std::move(try_result_);                                                                  \
    })

// For what cannot happen: aborts with file and line.
#define MUST(expression)                                                                         \
    __extension__({                                                                              \
        auto must_result_ = (expression);                                                        \
        if (!must_result_) ::coffer::abort_at(__FILE__, __LINE__, must_result_.error().message); \
        *std::move(must_result_);                                                                \
    })
