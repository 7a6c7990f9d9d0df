#include "shim/protocol.hpp"

#include <algorithm>

#include "json/codec.hpp"

namespace coffer::shim {

// Found by the codec through their namespace; the wire is nobody else's business.
static void describe(json::Fields& f, const Client& s) {
    f("stdin", s.use_stdin);
    f("stdout", s.use_stdout);
    f("stderr", s.use_stderr);
    f("raw", s.raw);
    f("gated", s.gated);
    f("afterLog", s.after_log);
    f("detachKeys", s.detach_keys);
    f("early", s.early);  // base64 on the wire
}
static void describe(json::Fields& f, const Start& s) {
    f("id", s.id);
    f("lowerDirs", s.lower_dirs);
    f("upperDir", s.upper_dir);
    f("user", s.user);
    f("groups", s.groups);
    f("log", s.log);
    f("openStdin", s.open_stdin);
    f("stdinOnce", s.stdin_once);
    f("hasUserns", s.has_userns);
    f("hasNetns", s.has_netns);
    f("hasPidns", s.has_pidns);
    f("hasIpcns", s.has_ipcns);
    f("hasShm", s.has_shm);
    f("hasSeccomp", s.has_seccomp);
    f("clients", s.clients);
}
static void describe(json::Fields& f, const Attach& s) {
    f("execId", s.exec_id);
    f("client", s.client);
}
static void describe(json::Fields& f, const Exec& s) {
    f("execId", s.exec_id);
    f("process", s.process);
    f("user", s.user);
    f("groups", s.groups);
    f("hasSeccomp", s.has_seccomp);
    f("openStdin", s.open_stdin);
    f("client", s.client);
    f("capture", s.capture);
}
static void describe(json::Fields& f, const Probe& s) {
    f("execId", s.exec_id);
    f("host", s.host);
    f("port", s.port);
    f("path", s.path);
}
static void describe(json::Fields& f, const Resize& s) {
    f("execId", s.exec_id);
    f("rows", s.rows);
    f("columns", s.columns);
}
static void describe(json::Fields& f, const Signal& s) {
    f("execId", s.exec_id);
    f("number", s.number);
    f("all", s.all);
}
static void describe(json::Fields&, const Forget&) {}
static void describe(json::Fields& f, const LogLimits& s) {
    f("maxSize", s.max_size);
    f("maxFiles", s.max_files);
}
static void describe(json::Fields& f, const Mounts& s) {
    f("remove", s.remove);
    f("add", s.add);
    f("settle", s.settle);
}
static void describe(json::Fields& f, const Reply& s) {
    f("seq", s.seq);
    f("ok", s.ok);
    f("code", s.code);
    f("message", s.message);
    f("pid", s.pid);
    f("time", s.time);
}
static void describe(json::Fields& f, const ExitRecord& s) {
    f("exitCode", s.exit_code);
    f("signal", s.signal);
    f("oomKilled", s.oom_killed);
    f("oomKills", s.oom_kills);
    f("finishedAt", s.finished_at);
}
static void describe(json::Fields& f, const ExecState& s) {
    f("execId", s.exec_id);
    f("pid", s.pid);
}
static void describe(json::Fields& f, const Hello& s) {
    f("pid", s.pid);
    f("startedAt", s.started_at);
    f("exit", s.exit);
    f("execs", s.execs);
}
static void describe(json::Fields& f, const Exited& s) {
    f("record", s.record);
}
static void describe(json::Fields& f, const ExecExited& s) {
    f("execId", s.exec_id);
    f("exitCode", s.exit_code);
    f("output", s.output);  // base64 on the wire
    f("cut", s.cut);
}
static void describe(json::Fields& f, const Detached& s) {
    f("execId", s.exec_id);
}
static void describe(json::Fields&, const Oom&) {}
static void describe(json::Fields& f, const LogNotice& s) {
    f("text", s.text);
}
static void describe(json::Fields& f, const NamespacesRequest& s) {
    f("base", s.base);
}
static void describe(json::Fields& f, const NamespacesReply& s) {
    f("ok", s.ok);
    f("message", s.message);
}

namespace {

// The names of the alternatives, in the order of the variants.
constexpr std::string_view kRequests[] = {"start",  "attach", "exec",      "resize", "signal",
                                          "forget", "probe",  "logLimits", "mounts"};
constexpr std::string_view kFromShim[] = {"reply",    "hello", "exited",   "execExited",
                                          "detached", "oom",   "logNotice"};
constexpr std::string_view kStates[] = {"empty", "running", "exited"};

std::vector<Client*> clients_of(Request& request) {
    std::vector<Client*> out;
    if (auto* start = std::get_if<Start>(&request)) {
        for (Client& client : start->clients) out.push_back(&client);
    } else if (auto* attach = std::get_if<Attach>(&request)) {
        out.push_back(&attach->client);
    } else if (auto* exec = std::get_if<Exec>(&request); exec != nullptr && exec->client) {
        out.push_back(&*exec->client);
    }
    return out;
}

json::Value body_of(const auto& message) {
    return std::visit([](const auto& one) { return json::to_value(one); }, message);
}

template <class Variant, std::size_t I = 0>
Result<Variant> decode_named(std::string_view name, const std::string_view* names,
                             const json::Value& body) {
    if constexpr (I < std::variant_size_v<Variant>) {
        if (name != names[I]) return decode_named<Variant, I + 1>(name, names, body);
        using Message = std::variant_alternative_t<I, Variant>;
        return Variant(TRY(json::decode_value<Message>(body)));
    } else {
        return fail(Code::InvalidArgument, "unknown message '{}'", name);
    }
}

// The member that is not `seq`: the message's name and body.
Result<const json::Member*> message_in(const json::Value& document) {
    const json::Object* object = document.if_object();
    if (object != nullptr) {
        for (const json::Member& member : *object) {
            if (member.key != "seq") return &member;
        }
    }
    return fail(Code::InvalidArgument, "message without a name");
}

}  // namespace

std::string encode(const Envelope& envelope) {
    Request request = envelope.request;
    for (Client* client : clients_of(request)) client->early = to_base64(client->early);
    json::Value document;
    document.set("seq", envelope.seq);
    document.set(kRequests[request.index()], body_of(request));
    return json::write(document);
}

Result<Envelope> decode_request(std::string_view text) {
    const json::Value document = TRY(json::parse(text));
    const json::Member* member = TRY(message_in(document));
    const json::Value* seq = document.find("seq");
    Envelope envelope;
    envelope.seq = seq == nullptr ? 0 : seq->to_uint().value_or(0);
    envelope.request = TRY(decode_named<Request>(member->key, kRequests, member->value));
    for (Client* client : clients_of(envelope.request)) {
        auto early = from_base64(client->early);
        if (!early) return fail(Code::InvalidArgument, "early bytes are no base64");
        client->early = *std::move(early);
    }
    return envelope;
}

std::string encode(const FromShim& message) {
    json::Value body = body_of(message);
    if (const auto* exec = std::get_if<ExecExited>(&message)) {
        body.set("output", to_base64(exec->output));
    }
    if (const auto* hello = std::get_if<Hello>(&message)) {
        body.set("state", kStates[static_cast<std::size_t>(hello->state)]);
    }
    json::Value document;
    document.set(kFromShim[message.index()], std::move(body));
    return json::write(document);
}

Result<FromShim> decode_from_shim(std::string_view text) {
    const json::Value document = TRY(json::parse(text));
    const json::Member* member = TRY(message_in(document));
    FromShim message = TRY(decode_named<FromShim>(member->key, kFromShim, member->value));
    if (auto* exec = std::get_if<ExecExited>(&message)) {
        auto output = from_base64(exec->output);
        if (!output) return fail(Code::InvalidArgument, "output is no base64");
        exec->output = *std::move(output);
    }
    if (auto* hello = std::get_if<Hello>(&message)) {
        const json::Value* state = member->value.find("state");
        const std::string* name = state == nullptr ? nullptr : state->if_string();
        const auto* found = std::find(std::begin(kStates), std::end(kStates),
                                      name == nullptr ? std::string_view() : *name);
        if (found == std::end(kStates)) return fail(Code::InvalidArgument, "hello without a state");
        hello->state = static_cast<State>(found - std::begin(kStates));
    }
    return message;
}

std::string encode(const ExitRecord& record) {
    return json::encode(record);
}
Result<ExitRecord> decode_exit_record(std::string_view text) {
    return json::decode<ExitRecord>(text);
}
std::string encode(const NamespacesRequest& request) {
    return json::encode(request);
}
Result<NamespacesRequest> decode_namespaces_request(std::string_view text) {
    return json::decode<NamespacesRequest>(text);
}
std::string encode(const NamespacesReply& reply) {
    return json::encode(reply);
}
Result<NamespacesReply> decode_namespaces_reply(std::string_view text) {
    return json::decode<NamespacesReply>(text);
}

}  // namespace coffer::shim
