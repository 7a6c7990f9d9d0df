#include "runtime/sync.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace coffer::runtime {

void set_text(Report& report, const char* text) noexcept {
    const std::size_t length = std::min(std::strlen(text), report.text.size() - 1);
    std::memcpy(report.text.data(), text, length);
    report.text[length] = '\0';
}

bool send_report_in_child(int socket, const Report& report) noexcept {
    return ::send(socket, &report, sizeof report, MSG_NOSIGNAL) ==
           static_cast<ssize_t>(sizeof report);
}

bool send_descriptor_in_child(int socket, const Report& report, int fd) noexcept {
    Report copy = report;
    iovec part{&copy, sizeof copy};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof copy);
}

Report to_report(const Error& error) {
    Report report;
    report.sys_errno = error.sys_errno;
    report.code = static_cast<std::uint32_t>(error.code);
    set_text(report, error.message.c_str());
    return report;
}

Error to_error(const Report& report) {
    Error error;
    error.sys_errno = report.sys_errno;
    error.code = report.code <= static_cast<std::uint32_t>(Code::Internal)
                     ? static_cast<Code>(report.code)
                     : Code::Internal;
    error.message =
        to_utf8({report.text.data(), ::strnlen(report.text.data(), report.text.size())});
    if (report.append_errno) {
        error.message += ": " + errno_text(report.sys_errno);
        error.code = code_of_errno(report.sys_errno);
    }
    return error;
}

Result<void> send_report(int socket, const Report& report, int fd) {
    const std::string_view bytes(reinterpret_cast<const char*>(&report), sizeof report);
    const std::array<int, 1> fds = {fd};
    return sys::send_message(socket, bytes, std::span(fds.data(), fd < 0 ? 0 : 1));
}

Result<std::optional<Received>> receive_report(int socket) {
    sys::Message message = TRY(sys::receive_message(socket, sizeof(Report)));
    if (message.payload.empty()) return std::optional<Received>();
    if (message.payload.size() != sizeof(Report)) {
        return fail(Code::Internal, "a report of {} bytes", message.payload.size());
    }
    Received received;
    std::memcpy(&received.report, message.payload.data(), sizeof(Report));
    if (!message.fds.empty()) received.fd = std::move(message.fds[0]);
    return std::optional(std::move(received));
}

}  // namespace coffer::runtime
