#include "files/protocol.hpp"

namespace coffer::files {

namespace {

constexpr std::size_t kLongestMessage = 8192;

}  // namespace

void describe(json::Fields& f, const Request& s) {
    f("verb", s.verb);
    f("place", s.place);
    f("lowerDirs", s.lower_dirs, json::kOmitEmpty);
    f("upperDir", s.upper_dir, json::kOmitEmpty);
    f("baseDirs", s.base_dirs, json::kOmitEmpty);
    f("spec", s.spec, json::kOmitEmpty);
    f("path", s.path, json::kOmitEmpty);
    f("keepKinds", s.keep_kinds, json::kOmitEmpty);
    f("owner", s.owner, json::kOmitEmpty);
    f("enginesOwn", s.engines_own, json::kOmitEmpty);
}

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
    return json::encode(request);
}

Result<Request> decode_request(std::string_view text) {
    Request request = TRY(json::decode<Request>(text));
    if (request.verb > Verb::Copy || request.place > Place::Folder) {
        return fail(Code::InvalidArgument, "unknown verb {} or place {}",
                    static_cast<int>(request.verb), static_cast<int>(request.place));
    }
    return request;
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
