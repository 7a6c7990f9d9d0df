#pragma once
// What the processes of one start say to each other, over a SOCK_SEQPACKET pair:
//
//   caller                stage                     container init
//     │ <── Failed ────────┤ (anything goes wrong)
//     │ <── Born(pid) ─────┤ ends
//     │ <── Hooks ────────────────────────────────────┤ (with hooks or network devices)
//     │ ── Proceed(pid) ────────────────────────────> │ (those of the caller have run)
//     │ <── Console + fd ─────────────────────────────┤ (with a terminal)
//     │ <── Ready ────────────────────────────────────┤
//     │ ── Start ───────────────────────────────────> │
//     │ <── Listener + fd ────────────────────────────┤ (with a filter that notifies)
//     │ <── Failed, or the end of the stream on exec ─┤
//
// exec uses Born, Console, Failed and the end of the stream. Reports have a fixed size, so that
// they can be sent when nothing may be allocated any more. One thread.

#include <array>
#include <cstdint>
#include <optional>

#include "sys/fd.hpp"

namespace coffer::runtime {

enum class ReportKind : std::uint32_t {
    Failed = 1,
    Proceed,
    Born,
    Hooks,
    Console,
    Ready,
    Start,
    Listener,
};

struct Report {
    ReportKind kind = ReportKind::Failed;
    std::int32_t pid = 0;        // of Born; of Proceed after Hooks: the receiver itself
    std::int32_t sys_errno = 0;  // of Failed
    std::uint32_t code = 0;      // of Failed: coffer::Code
    // The message of Failed; when `append_errno`, the words for sys_errno belong behind it.
    bool append_errno = false;
    std::array<char, 1003> text{};
};

// Async-signal-safe.
void set_text(Report& report, const char* text) noexcept;
bool send_report_in_child(int socket, const Report& report) noexcept;
bool send_descriptor_in_child(int socket, const Report& report, int fd) noexcept;

Report to_report(const Error& error);
Error to_error(const Report& report);

Result<void> send_report(int socket, const Report& report, int fd = -1);
struct Received {
    Report report;
    sys::Fd fd;
};
// nullopt: the other side has closed.
Result<std::optional<Received>> receive_report(int socket);

}  // namespace coffer::runtime
