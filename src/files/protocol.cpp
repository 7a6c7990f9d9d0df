#include "files/protocol.hpp"

namespace coffer::files {

namespace {

constexpr std::size_t kLongestMessage = 8192;

// As they travel: the enums are numbers.
struct WireRequest {
    int verb = 0;
    int place = 0;
    std::vector<std::string> lower_dirs;
    std::string upper_dir;
    std::string spec;
    std::string path;
    bool keep_kinds = false;
    std::optional<std::string> owner;
    std::vector<std::string> engines_own;
};

void describe(json::Fields& f, const WireRequest& s) {
    f("verb", s.verb);
    f("place", s.place);
    f("lowerDirs", s.lower_dirs, json::kOmitEmpty);
    f("upperDir", s.upper_dir, json::kOmitEmpty);
    f("spec", s.spec, json::kOmitEmpty);
    f("path", s.path, json::kOmitEmpty);
    f("keepKinds", s.keep_kinds, json::kOmitEmpty);
    f("owner", s.owner, json::kOmitEmpty);
    f("enginesOwn", s.engines_own, json::kOmitEmpty);
}

}  // namespace

void describe(json::Fields& f, const Stat& s) {
    f("name", s.name);
    f("size", s.size);
    f("mode", s.mode);
    f("mtime", s.mtime);
    f("linkTarget", s.link_target, json::kOmitEmpty);
}

void describe(json::Fields& f, const Answer& s) {
    f("ok", s.ok);
    f("code", s.code, json::kOmitEmpty);
    f("errno", s.sys_errno, json::kOmitEmpty);
    f("message", s.message, json::kOmitEmpty);
    f("stat", s.stat, json::kOmitEmpty);
}

std::string encode(const Request& request) {
    return json::encode(WireRequest{static_cast<int>(request.verb), static_cast<int>(request.place),
                                    request.lower_dirs, request.upper_dir, request.spec,
                                    request.path, request.keep_kinds, request.owner,
                                    request.engines_own});
}

Result<Request> decode_request(std::string_view text) {
    WireRequest wire = TRY(json::decode<WireRequest>(text));
    if (wire.verb < 0 || wire.verb > static_cast<int>(Verb::Layer) || wire.place < 0 ||
        wire.place > static_cast<int>(Place::Layers)) {
        return fail(Code::InvalidArgument, "unknown verb {} or place {}", wire.verb, wire.place);
    }
    return Request{static_cast<Verb>(wire.verb),
                   static_cast<Place>(wire.place),
                   std::move(wire.lower_dirs),
                   std::move(wire.upper_dir),
                   std::move(wire.spec),
                   std::move(wire.path),
                   wire.keep_kinds,
                   std::move(wire.owner),
                   std::move(wire.engines_own)};
}

std::string encode(const Answer& answer) {
    return json::encode(answer);
}

Answer answer_of(const Error& error) {
    Answer answer;
    answer.code = static_cast<int>(error.code);
    answer.sys_errno = error.sys_errno;
    answer.message = to_utf8(error.message).substr(0, kLongestMessage);
    return answer;
}

Result<Answer> decode_answer(std::string_view text) {
    Answer answer = TRY_CONTEXT(json::decode<Answer>(text), "read the answer of coffer-files");
    if (answer.ok) return answer;
    if (answer.code < 0 || answer.code > static_cast<int>(Code::Internal)) {
        return fail(Code::Internal, "coffer-files gave no valid answer");
    }
    return fail(Error{static_cast<Code>(answer.code), answer.sys_errno, answer.message});
}

std::string encode(const Change& change) {
    return format("{} {}", static_cast<int>(change.kind), change.path);
}

Result<Change> decode_change(std::string_view text) {
    if (text.size() < 3 || text[0] < '0' || text[0] > '2' || text[1] != ' ') {
        return fail(Code::Internal, "coffer-files gave no valid change");
    }
    return Change{static_cast<ChangeKind>(text[0] - '0'), std::string(text.substr(2))};
}

}  // namespace coffer::files
