#pragma once
// What the engine and coffer-shim say to each other: one JSON object a SOCK_SEQPACKET message, with
// descriptors as SCM_RIGHTS. Plain data, safe from any thread.
//
// The engine starts `coffer-shim BUNDLE` with its end of a socket pair as descriptor 3, or connects
// to BUNDLE/shim.sock after a restart (the newest connection wins). The first message from the shim
// on every connection is a Hello. Every request carries a `seq` and is answered by one Reply with
// the same; events come in between with no `seq`.
//
//   BUNDLE/config.json   written by the engine: the OCI spec; process.terminal, consoleSize,
//                        linux.cgroupsPath count
//   BUNDLE/shim.sock     made by the shim once it has started the container
//   BUNDLE/exit.json     ExitRecord, written before Exited is sent

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "logs/setup.hpp"
#include "oci/runtime_spec.hpp"

namespace coffer::shim {

// A client's connection, given to the shim for good. Not a tty and not raw: output goes in stdcopy
// frames. Half-close by the client is the end of its standard input.
struct Client {
    bool use_stdin = false;
    bool use_stdout = false;
    bool use_stderr = false;
    bool raw = false;  // no frames, even without a tty
    // Nothing is sent before the gate, a further descriptor, is readable or its other end closed:
    // the engine has something to send first. The Reply says the time from which on output is kept.
    bool gated = false;
    bool after_log = false;   // what is not in the log yet, the part of a line, comes first
    std::string detach_keys;  // docker's text, "ctrl-p,ctrl-q"; empty: the default
    std::string early;        // bytes that came with the client's request (any bytes)
};

// fds: [userns] [netns] [pidns] [ipcns] [shm] [seccomp] as flagged, then one socket for each
// client. No more than kMaxClientsOnStart clients; others follow by Attach.
struct Start {
    std::string id;
    std::vector<std::string> lower_dirs;  // of the overlay, top first; empty: spec.root.path is it
    std::string upper_dir;                // holds diff/ and work/
    std::string user;                 // "name:group" to look up in the rootfs; empty: as the spec
    std::vector<std::string> groups;  // further groups, by name or number
    logs::Setup log;
    bool open_stdin = false;  // false: standard input is /dev/null (a tty always has one)
    bool stdin_once = false;  // the end of the first client's input ends the container's
    bool has_userns = false;
    bool has_netns = false;
    bool has_pidns = false;
    bool has_ipcns = false;
    bool has_shm = false;      // the mount namespace of a container whose /dev/shm is shared
    bool has_seccomp = false;  // a file or memfd with the compiled filter
    std::vector<Client> clients;
};
constexpr std::size_t kMaxClientsOnStart = 12;

struct Attach {           // fds: the client's socket, and its gate
    std::string exec_id;  // empty: the container; a running exec otherwise
    Client client;
};

// fds: [seccomp] as flagged, then the client's socket when there is a client.
struct Exec {
    std::string exec_id;
    std::string process;  // the OCI process object as JSON text; terminal and consoleSize count
    std::string user;     // as in Start
    std::vector<std::string> groups;
    bool has_seccomp = false;
    bool open_stdin = false;  // false: /dev/null
    std::optional<Client> client;
    std::int64_t capture = 0;  // so many bytes of its output come with its end
};

// A connection attempt in the container's network, as an exec whose exit code is 0 or 1 and whose
// captured output says what was found.
struct Probe {
    std::string exec_id;
    std::string host;  // an address; empty: the container's loopback
    std::uint16_t port = 0;
    std::string path;  // not empty: an HTTP GET of it must be answered with a status below 400
};

struct Resize {
    std::string exec_id;  // empty: the container
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
};

struct Signal {
    std::string exec_id;  // empty: the container
    int number = 0;
    bool all = false;  // every process of the cgroup; of an exec: of its process group
};

// The exit is known and recorded: the shim need not linger.
struct Forget {};

// Of the log's file, from now on.
struct LogLimits {
    std::int64_t max_size = -1;  // -1: no rotation
    std::int64_t max_files = 1;
};

// Of the container's file systems, while it runs: see runtime/live_mounts.hpp.
struct Mounts {
    std::vector<std::string> remove;
    std::vector<oci::Mount> add;
    bool settle = false;
};

using Request = std::variant<Start, Attach, Exec, Resize, Signal, Forget, Probe, LogLimits, Mounts>;

// Answers Start, Exec and Probe with the process made; others leave it empty. `code` of an error of
// Start and Exec is docker's: 125 (set-up), 126 (cannot be executed), 127 (not found).
struct Reply {
    std::uint64_t seq = 0;
    bool ok = false;
    int code = 0;
    std::string message;
    int pid = 0;
    std::string time;  // of an Attach: RFC 3339, nanoseconds
};

struct ExitRecord {
    int exit_code = 0;  // a shell's: 128 + signal
    int signal = 0;     // 0: it exited by itself
    bool oom_killed = false;
    int oom_kills = 0;        // by the group's counter: of init and of others
    std::string finished_at;  // RFC 3339, nanoseconds
};

enum class State : std::uint8_t { Empty, Running, Exited };
struct ExecState {
    std::string exec_id;
    int pid = 0;
};
struct Hello {
    State state = State::Empty;
    int pid = 0;
    std::string started_at;
    std::optional<ExitRecord> exit;  // when Exited
    std::vector<ExecState> execs;    // those that run
};
struct Exited {
    ExitRecord record;
};
struct ExecExited {
    std::string exec_id;
    int exit_code = 0;
    std::string output;  // what was to be captured (any bytes)
    bool cut = false;    // there was more
};
// A client left by its detach keys.
struct Detached {
    std::string exec_id;
};
struct Oom {};
// What happened to the log, for the log of the engine.
struct LogNotice {
    std::string text;
};

using FromShim = std::variant<Reply, Hello, Exited, ExecExited, Detached, Oom, LogNotice>;

struct Envelope {
    std::uint64_t seq = 0;
    Request request;
};

std::string encode(const Envelope& envelope);
Result<Envelope> decode_request(std::string_view text);
std::string encode(const FromShim& message);
Result<FromShim> decode_from_shim(std::string_view text);

std::string encode(const ExitRecord& record);
Result<ExitRecord> decode_exit_record(std::string_view text);

// `coffer-shim namespaces` with a SOCK_SEQPACKET as descriptor 3: each "{"base":N}" is answered by
// "{"ok":true}" with [userns, netns], or {"ok":false,"message":...}. A request that comes with a
// user namespace is for a network namespace in it, [netns].
struct NamespacesRequest {
    std::uint32_t base = 0;
};
struct NamespacesReply {
    bool ok = false;
    std::string message;
};
std::string encode(const NamespacesRequest& request);
Result<NamespacesRequest> decode_namespaces_request(std::string_view text);
std::string encode(const NamespacesReply& reply);
Result<NamespacesReply> decode_namespaces_reply(std::string_view text);

}  // namespace coffer::shim
