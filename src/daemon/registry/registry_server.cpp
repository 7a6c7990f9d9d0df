#include "daemon/registry/registry_server.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "engine/own_registry.hpp"
#include "json/codec.hpp"

namespace coffer::daemon {

namespace {

using engine::OwnRegistry;
using http::Method;
using http::Reply;

constexpr std::size_t kMaxManifest = 4U << 20U;  // the least that a registry must take
constexpr std::size_t kPage = 1000;              // of a list, at most
constexpr std::size_t kChunk = 256 * 1024;

// What a path below /v2/ names.
enum class Kind { Base, Catalog, Token, Blob, Uploads, Upload, Manifest, Tags, Referrers };
struct Target {
    Kind kind = Kind::Base;
    std::string repository;
    std::string object;  // digest, tag, or id of an upload
};

Reply error_reply(int status, std::string_view code, std::string_view message) {
    const json::Object error{{"code", code}, {"message", to_utf8(message)}};
    return Reply::json(status, json::write(json::Object{{"errors", json::Array{error}}}));
}

// The specification's word for an error, by what was asked for.
Reply error_of(const Error& error, Kind kind, Method method) {
    const std::string& text = error.message;
    switch (error.code) {
        case Code::InvalidArgument:
            if (kind == Kind::Manifest) return error_reply(400, "MANIFEST_INVALID", text);
            return error_reply(400, "DIGEST_INVALID", text);
        case Code::NotFound:
            if (kind == Kind::Blob) return error_reply(404, "BLOB_UNKNOWN", text);
            if (kind == Kind::Upload) return error_reply(404, "BLOB_UPLOAD_UNKNOWN", text);
            if (kind == Kind::Tags) return error_reply(404, "NAME_UNKNOWN", text);
            if (method == Method::Put) return error_reply(404, "MANIFEST_BLOB_UNKNOWN", text);
            return error_reply(404, "MANIFEST_UNKNOWN", text);
        case Code::Conflict:
            if (kind == Kind::Upload) return error_reply(416, "BLOB_UPLOAD_INVALID", text);
            return error_reply(409, "DENIED", text);
        case Code::Forbidden:
            return error_reply(403, "DENIED", text);
        case Code::Unavailable:
            return error_reply(429, "TOOMANYREQUESTS", text);
        case Code::Cancelled:
            return error_reply(400, "BLOB_UPLOAD_INVALID", text);
        default:
            LOG_ERROR("registry: {}", text);
            return error_reply(500, "UNKNOWN", text);
    }
}

std::optional<Target> parse_path(std::string_view path) {
    if (path == "/v2/" || path == "/v2") return Target{};
    if (path == "/v2/_catalog") return Target{.kind = Kind::Catalog};
    if (path == Access::kTokenPath) return Target{.kind = Kind::Token};
    if (!path.starts_with("/v2/")) return {};
    path.remove_prefix(4);
    struct Shape {
        std::string_view between;
        Kind kind;
    };
    // The last that fits: "blobs" may be a part of a repository's name.
    for (const Shape& shape : {Shape{"/blobs/uploads/", Kind::Upload}, Shape{"/blobs/", Kind::Blob},
                               Shape{"/manifests/", Kind::Manifest}, Shape{"/tags/", Kind::Tags},
                               Shape{"/referrers/", Kind::Referrers}}) {
        const auto at = path.rfind(shape.between);
        if (at == std::string_view::npos || at == 0) continue;
        Target target{shape.kind, std::string(path.substr(0, at)),
                      std::string(path.substr(at + shape.between.size()))};
        if (target.object.find('/') != std::string::npos) continue;
        if (target.kind == Kind::Upload && target.object.empty()) target.kind = Kind::Uploads;
        if (target.kind == Kind::Tags && target.object != "list") continue;
        return target;
    }
    if (path.ends_with("/blobs/uploads"))
        return Target{Kind::Uploads, std::string(path.substr(0, path.size() - 14)), {}};
    return {};
}

bool is_any_digest(std::string_view text) {
    return is_digest(text) || is_sha512_digest(text);
}

// "bytes=0-99", "bytes=100-", "bytes=-50" of `size` bytes, as first and one past the last; one
// range only. nullopt: none is asked for; begin == end: it lies beyond.
struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};
std::optional<Range> parse_range(std::string_view text, std::uint64_t size) {
    if (!text.starts_with("bytes=")) return {};
    const auto sides = cut(text.substr(6), "-");
    if (!sides) return {};
    const auto first = parse_uint(sides->first);
    const auto last = parse_uint(sides->second);
    if (sides->first.empty() && last) return Range{size - std::min(size, *last), size};
    if (!first || (!last && !sides->second.empty())) return {};
    if (*first >= size || (last && *last < *first)) return Range{};
    return Range{*first, last ? std::min(*last, size - 1) + 1 : size};
}

// "0-99" of a PATCH or PUT; nullopt for what is no range.
std::optional<Range> parse_content_range(std::string_view text) {
    const auto sides = cut(text.starts_with("bytes ") ? text.substr(6) : text, "-");
    if (!sides) return {};
    const auto first = parse_uint(sides->first);
    const auto last = parse_uint(sides->second);
    if (!first || !last || *last < *first) return {};
    return Range{*first, *last + 1};
}

engine::ReadBytes body_of(const http::Request& request) {
    return [&request](char* to, std::size_t size) { return request.body->read(to, size); };
}

class Exchange {
  public:
    Exchange(OwnRegistry& registry, const http::Request& request, const Target& target)
        : registry_(registry), request_(request), target_(target) {}

    Result<Reply> run() {
        const Method method = request_.method;
        const bool reads = method == Method::Get || method == Method::Head;
        switch (target_.kind) {
            case Kind::Catalog:
                if (reads) return catalog();
                break;
            case Kind::Tags:
                if (reads) return tags();
                break;
            case Kind::Referrers:
                if (reads) return referrers();
                break;
            case Kind::Blob:
                if (reads) return get_blob();
                if (method == Method::Delete) return remove_blob();
                break;
            case Kind::Uploads:
                if (method == Method::Post) return begin_upload();
                break;
            case Kind::Upload:
                if (reads) return upload_status();
                if (method == Method::Patch) return append();
                if (method == Method::Put) return finish_upload();
                if (method == Method::Delete) return cancel_upload();
                break;
            case Kind::Manifest:
                if (reads) return get_manifest();
                if (method == Method::Put) return put_manifest();
                if (method == Method::Delete) return remove_manifest();
                break;
            default:
                break;
        }
        return error_reply(405, "UNSUPPORTED", "the operation is unsupported");
    }

  private:
    Result<Reply> catalog() { return page_of(TRY(registry_.repositories()), {}, "repositories"); }

    Result<Reply> tags() {
        return page_of(TRY(registry_.tags(target_.repository)), {{"name", target_.repository}},
                       "tags");
    }

    // The document with a page of names by `n` and `last`, and the address of the next one.
    Result<Reply> page_of(const std::vector<std::string>& all, json::Object document,
                          std::string_view key) const {
        std::size_t most = kPage;
        if (const std::string* n = request_.query.find("n")) {
            const auto number = parse_uint(*n);
            if (!number) return fail(Code::InvalidArgument, "invalid number of results \"{}\"", *n);
            most = std::min<std::uint64_t>(kPage, *number);
        }
        auto at = all.begin();
        if (const std::string* last = request_.query.find("last"))
            at = std::upper_bound(all.begin(), all.end(), *last);
        json::Array names;
        for (; at != all.end() && names.size() < most; ++at) names.emplace_back(*at);
        document.push_back({std::string(key), std::move(names)});
        Reply reply = Reply::json(200, json::write(std::move(document)));
        if (at != all.end() && most > 0)
            reply.headers.set("Link", format("<{}?n={}&last={}>; rel=\"next\"", request_.path, most,
                                             http::percent_encode(*std::prev(at))));
        return reply;
    }

    Result<Reply> referrers() {
        oci::Index index;
        index.media_type = oci::media_type::kIndex;
        const std::string type(request_.query.get("artifactType"));
        auto found = TRY(registry_.referrers(target_.repository, target_.object, type,
                                             request_.query.get("last")));
        index.manifests = std::move(found.page);
        Reply reply = Reply::json(200, json::encode(index));
        reply.headers.set("Content-Type", std::string(oci::media_type::kIndex));
        if (!type.empty()) reply.headers.set("OCI-Filters-Applied", "artifactType");
        if (found.more)
            reply.headers.set("Link",
                              format("<{}?artifactType={}&last={}>; rel=\"next\"", request_.path,
                                     http::percent_encode(type), index.manifests.back().digest));
        return reply;
    }

    Result<Reply> get_blob() {
        OwnRegistry::Blob blob = TRY(registry_.open_blob(target_.repository, target_.object));
        const auto asked = parse_range(request_.headers.get("Range"), blob.size);
        const Range range = asked.value_or(Range{0, blob.size});
        if (asked && range.begin == range.end) {
            Reply reply = error_reply(416, "BLOB_UNKNOWN", "the range lies beyond the blob");
            reply.headers.set("Content-Range", format("bytes */{}", blob.size));
            return reply;
        }
        // Shared by the copies of the function.
        auto file = std::make_shared<sys::Fd>(std::move(blob.file));
        Reply reply = Reply::stream(
            asked ? 206 : 200, "application/octet-stream",
            [file, range](http::StreamWriter& out) { return send_file(*file, range, out); });
        reply.length = range.end - range.begin;
        reply.headers.set("Accept-Ranges", "bytes");
        reply.headers.set("Docker-Content-Digest", target_.object);
        reply.headers.set("ETag", format("\"{}\"", target_.object));
        reply.headers.set("Cache-Control", "max-age=31536000");
        if (asked)
            reply.headers.set("Content-Range",
                              format("bytes {}-{}/{}", range.begin, range.end - 1, blob.size));
        return reply;
    }

    static Result<void> send_file(const sys::Fd& file, Range range, http::StreamWriter& out) {
        std::string buffer(std::min<std::uint64_t>(kChunk, range.end - range.begin), '\0');
        while (range.begin < range.end) {
            const auto wanted = std::min<std::uint64_t>(buffer.size(), range.end - range.begin);
            const ssize_t n =
                ::pread(file.get(), buffer.data(), wanted, static_cast<off_t>(range.begin));
            if (n < 0) return fail_errno("read blob");
            if (n == 0) return fail(Code::Internal, "blob has become shorter");
            TRY(out.write(std::string_view(buffer).substr(0, static_cast<std::size_t>(n))));
            range.begin += static_cast<std::uint64_t>(n);
        }
        return {};
    }

    Result<Reply> remove_blob() {
        TRY(registry_.remove_blob(target_.repository, target_.object));
        return Reply::empty(202);
    }

    Reply created(std::string_view digest) const {
        Reply reply = Reply::empty(201);
        reply.headers.set("Location", format("/v2/{}/blobs/{}", target_.repository, digest));
        reply.headers.set("Docker-Content-Digest", std::string(digest));
        return reply;
    }

    Reply upload_reply(Reply reply, const std::string& id, std::uint64_t size) const {
        reply.headers.set("Location", format("/v2/{}/blobs/uploads/{}", target_.repository, id));
        reply.headers.set("Docker-Upload-UUID", id);
        reply.headers.set("Range", format("0-{}", size == 0 ? 0 : size - 1));
        return reply;
    }

    Result<Reply> begin_upload() {
        if (const std::string* digest = request_.query.find("mount")) {
            const std::string from(request_.query.get("from"));
            if (!is_any_digest(*digest))
                return error_reply(400, "DIGEST_INVALID", "invalid digest to mount");
            if ((from.empty() || registry_.is_repository(from)) &&
                TRY(registry_.mount_blob(target_.repository, *digest, from)))
                return created(*digest);
        }
        const std::string id = TRY(registry_.begin_upload(target_.repository));
        if (const std::string* digest = request_.query.find("digest")) {
            auto done = finish(id, *digest, {});
            if (!done)
                ignore(registry_.cancel_upload(target_.repository, id), "it may be gone already");
            return done;
        }
        return upload_reply(Reply::empty(202), id, 0);
    }

    Result<Reply> upload_status() {
        const auto size = TRY(registry_.upload_size(target_.repository, target_.object));
        return upload_reply(Reply::empty(204), target_.object, size);
    }

    // The range that the request says its body has; checked against the length.
    Result<std::optional<std::uint64_t>> offset_of_body() const {
        const std::string* text = request_.headers.find("Content-Range");
        if (text == nullptr) return std::optional<std::uint64_t>();
        const auto range = parse_content_range(*text);
        const auto length = parse_uint(request_.headers.get("Content-Length"));
        if (!range || (length && range->end - range->begin != *length))
            return fail(Code::Conflict, "the Content-Range \"{}\" is not that of the body", *text);
        return std::optional(range->begin);
    }

    Result<Reply> append() {
        const auto offset = TRY(offset_of_body());
        const auto size =
            registry_.append(target_.repository, target_.object, offset, body_of(request_));
        if (size) return upload_reply(Reply::empty(202), target_.object, *size);
        if (size.error().code != Code::Conflict) return fail(size.error());
        // Where it must go on is in the answer.
        const auto now = registry_.upload_size(target_.repository, target_.object);
        if (!now) return fail(size.error());
        return upload_reply(error_of(size.error(), Kind::Upload, request_.method), target_.object,
                            *now);
    }

    Result<Reply> finish_upload() {
        const std::string* digest = request_.query.find("digest");
        if (digest == nullptr)
            return error_reply(400, "DIGEST_INVALID", "the parameter digest is missing");
        return finish(target_.object, *digest, TRY(offset_of_body()));
    }

    Result<Reply> finish(const std::string& id, const std::string& digest,
                         std::optional<std::uint64_t> offset) {
        if (!is_any_digest(digest))
            return error_reply(400, "DIGEST_INVALID",
                               format("invalid or unsupported digest \"{}\"", digest));
        if (!request_.body->at_end())
            TRY(registry_.append(target_.repository, id, offset, body_of(request_)));
        TRY(registry_.finish_upload(target_.repository, id, digest));
        return created(digest);
    }

    Result<Reply> cancel_upload() {
        TRY(registry_.cancel_upload(target_.repository, target_.object));
        return Reply::empty(204);
    }

    Result<Reply> get_manifest() {
        std::vector<std::string> accepted;
        for (const auto& header : request_.headers) {
            if (!equals_ignoring_case(header.name, "Accept")) continue;
            for (const std::string& part : split(header.value, ','))
                accepted.emplace_back(trim(std::string_view(part).substr(0, part.find(';'))));
        }
        const auto manifest =
            TRY(registry_.get_manifest(target_.repository, target_.object, accepted));
        const bool by_digest = is_any_digest(target_.object);
        const std::string& digest = by_digest ? target_.object : manifest.digest;
        const std::string etag = format("\"{}\"", digest);
        if (request_.headers.get("If-None-Match") == etag) return Reply::empty(304);
        Reply reply = Reply::json(200, manifest.text);
        reply.headers.set("Content-Type", manifest.media_type);
        reply.headers.set("Docker-Content-Digest", digest);
        reply.headers.set("ETag", etag);
        return reply;
    }

    Result<Reply> put_manifest() {
        const auto text = request_.body->read_all(kMaxManifest);
        if (!text && text.error().code == Code::InvalidArgument)
            return error_reply(413, "SIZE_INVALID", text.error().message);
        if (!text) return fail(text.error());
        const std::string type(request_.headers.get("Content-Type"));
        const auto put = TRY(registry_.put_manifest(target_.repository, target_.object,
                                                    type.substr(0, type.find(';')), *text));
        Reply reply = Reply::empty(201);
        reply.headers.set("Location",
                          format("/v2/{}/manifests/{}", target_.repository, put.digest));
        reply.headers.set("Docker-Content-Digest", put.digest);
        if (!put.subject.empty()) reply.headers.set("OCI-Subject", put.subject);
        if (!put.warning.empty()) {
            std::string text_of = to_utf8(put.warning);
            std::replace_if(
                text_of.begin(), text_of.end(), [](char c) { return c == '"' || c < ' '; }, '\'');
            reply.headers.set("Warning", format("299 - \"does not run here: {}\"", text_of));
        }
        return reply;
    }

    Result<Reply> remove_manifest() {
        TRY(registry_.remove_manifest(target_.repository, target_.object));
        return Reply::empty(202);
    }

    OwnRegistry& registry_;
    const http::Request& request_;
    const Target& target_;
};

// The names in the path, before anybody relies on them.
std::optional<Reply> refuse_names(const OwnRegistry& registry, const Target& target) {
    if (target.kind == Kind::Catalog) return {};
    if (!registry.is_repository(target.repository))
        return error_reply(400, "NAME_INVALID",
                           format("invalid repository name \"{}\"", target.repository));
    const bool digest = is_any_digest(target.object);
    if ((target.kind == Kind::Blob || target.kind == Kind::Referrers) && !digest)
        return error_reply(400, "DIGEST_INVALID", format("invalid digest \"{}\"", target.object));
    if (target.kind != Kind::Manifest || digest) return {};
    if (target.object.find(':') != std::string::npos)
        return error_reply(400, "DIGEST_INVALID", format("invalid digest \"{}\"", target.object));
    if (!oci::is_tag(target.object))
        return error_reply(404, "MANIFEST_UNKNOWN", format("invalid tag \"{}\"", target.object));
    return {};
}

}  // namespace

Reply RegistryServer::error(const Error& error) {
    return error_of(error, Kind::Base, Method::Get);
}

Reply RegistryServer::handle(const http::Request& request) const {
    Reply reply = dispatch(request);
    reply.headers.set("Docker-Distribution-Api-Version", "registry/2.0");
    reply.headers.set("X-Content-Type-Options", "nosniff");
    return reply;
}

Reply RegistryServer::dispatch(const http::Request& request) const {
    const auto target = parse_path(request.path);
    if (!target) return error_reply(404, "UNSUPPORTED", "page not found");
    if (target->kind == Kind::Token && request.method == Method::Get) {
        if (const auto token = access_.token(request)) return Reply::json(200, *token);
        return error_reply(401, "UNAUTHORIZED", "incorrect username or password");
    }
    const bool reads = request.method == Method::Get || request.method == Method::Head;
    if (!access_.allows(request, reads ? Access::Right::Read : Access::Right::Write)) {
        Reply reply = error_reply(401, "UNAUTHORIZED", "authentication required");
        reply.headers.set("WWW-Authenticate", access_.challenge(request));
        return reply;
    }
    if (target->kind == Kind::Base) {
        if (!reads) return error_reply(405, "UNSUPPORTED", "the operation is unsupported");
        return Reply::json(200, "{}");
    }
    if (auto refusal = refuse_names(registry_, *target)) return *std::move(refusal);
    auto reply = Exchange(registry_, request, *target).run();
    return reply ? *std::move(reply) : error_of(reply.error(), target->kind, request.method);
}

}  // namespace coffer::daemon
