#include "registry/transfer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "archive/testing.hpp"
#include "archive/unpack.hpp"
#include "base/hash.hpp"
#include "json/codec.hpp"
#include "registry/fake_server_test.hpp"
#include "store/gc.hpp"
#include "sys/file.hpp"

namespace coffer::registry {
namespace {

using archive::testing::TarBuilder;

std::string type_header(std::string_view type) {
    return "Content-Type: " + std::string(type) + "\r\n";
}

// A registry with one repository, "a/b", whose answers a test may spoil.
class FakeRegistry {
  public:
    FakeRegistry() : server_([this](const FakeRequest& request) { return serve(request); }) {}

    oci::Descriptor blob(const std::string& content, std::string_view type) {
        const std::string digest = digest_of(content);
        set("/v2/a/b/blobs/" + digest, answer("200 OK", content));
        oci::Descriptor descriptor;
        descriptor.media_type = type;
        descriptor.digest = digest;
        descriptor.size = static_cast<std::int64_t>(content.size());
        return descriptor;
    }
    oci::Descriptor document(const std::string& name, const std::string& text,
                             std::string_view type) {
        const std::string reply = answer("200 OK", text, type_header(type));
        const std::string digest = digest_of(text);
        set("/v2/a/b/manifests/" + digest, reply);
        if (!name.empty()) set("/v2/a/b/manifests/" + name, reply);
        oci::Descriptor descriptor;
        descriptor.media_type = type;
        descriptor.digest = digest;
        descriptor.size = static_cast<std::int64_t>(text.size());
        return descriptor;
    }
    // An image whose layers are the given tars.
    oci::Descriptor image(const std::string& tag, const std::vector<std::string>& tars,
                          const std::string& architecture = "amd64") {
        oci::ImageConfig config;
        config.os = "linux";
        config.architecture = architecture;
        oci::Manifest manifest;
        manifest.media_type = oci::media_type::kManifest;
        for (const auto& tar : tars) {
            config.rootfs.diff_ids.push_back(digest_of(tar));
            manifest.layers.push_back(blob(tar, oci::media_type::kLayer));
        }
        manifest.config = blob(json::encode(config), oci::media_type::kConfig);
        return document(tag, json::encode(manifest), oci::media_type::kManifest);
    }
    void set(const std::string& path, std::string reply) {
        (*replies_.lock())[path] = std::move(reply);
    }
    void copy(const std::string& from, const std::string& to) {
        auto replies = replies_.lock();
        (*replies)[to] = replies->at(from);
    }
    std::string body(const std::string& path) {
        const std::string reply = replies_.lock()->at(path);
        return reply.substr(reply.find("\r\n\r\n") + 4);
    }
    oci::Reference reference(const std::string& tag) const {
        return MUST(oci::parse_reference(server_.host() + "/a/b:" + tag));
    }
    std::size_t count(const std::string& part) {
        std::size_t n = 0;
        for (const auto& request : server_.requests())
            n += request.line.find(part) == std::string::npos ? 0 : 1;
        return n;
    }

  private:
    std::string serve(const FakeRequest& request) {
        const auto fields = split_fields(request.line);
        auto replies = replies_.lock();
        const auto found = replies->find(fields.at(1));
        if (found != replies->end()) return found->second;
        return answer("404 Not Found",
                      R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
    }

    Sync<std::map<std::string, std::string>> replies_;
    FakeServer server_;
};

class Transfers : public testing::Test {
  protected:
    std::unique_ptr<Repository> open() {
        return MUST(Repository::open(
            registries_, registry_.reference("x"),
            {.credentials = {}, .limits = {}, .first_pause = std::chrono::milliseconds(1)},
            cancel_));
    }
    Result<Plan> resolve_tag(const std::string& tag, const std::string& platform = "linux/amd64") {
        return resolve(*open(), registry_.reference(tag), MUST(oci::parse_platform(platform)));
    }
    Result<std::string> pull(const std::string& tag) {
        const auto repository = open();
        const auto plan = TRY(resolve(*repository, registry_.reference(tag),
                                      MUST(oci::parse_platform("linux/amd64"))));
        return fetch_image(
            *repository, {*store_, in_flight_}, plan,
            [&](const LayerUpdate& update) { steps_.lock()->push_back(update); }, cancel_);
    }
    bool seen(LayerStep step) {
        auto steps = steps_.lock();
        return std::any_of(steps->begin(), steps->end(),
                           [&](const auto& update) { return update.step == step; });
    }
    void expect_empty_store() {
        EXPECT_TRUE(MUST(store_->content().list()).empty());
        EXPECT_TRUE(MUST(store_->layers().list()).empty());
        EXPECT_TRUE(MUST(store_->images().list()).empty());
        EXPECT_TRUE(MUST(store_->check({}, {.settled = {}})).empty());
    }

    FakeRegistry registry_;
    Registries registries_{no_files()};
    const Cancel cancel_;
    InFlight in_flight_;
    sys::TempDir dir_ = *sys::TempDir::create();
    std::unique_ptr<store::Store> store_ =
        *store::Store::open({.data_root = dir_.path() + "/data", .unpacker = archive::unpack_here});
    Sync<std::vector<LayerUpdate>> steps_;
};

TEST_F(Transfers, image_of_two_layers_arrives_whole) {
    const std::string low = TarBuilder().file("a", "1").finish();
    const std::string high = TarBuilder().file("b", std::string(300'000, 'x')).finish();
    registry_.image("one", {low, high});
    const auto plan = MUST(resolve_tag("one"));
    EXPECT_EQ(plan.documents.size(), 1U);
    const std::string id = MUST(pull("one"));
    EXPECT_EQ(id, plan.manifest.config.digest);
    const auto record = MUST(store_->images().get(id));
    EXPECT_EQ(record.size, 300'001U);
    EXPECT_EQ(record.blobs.size(), 4U);
    const auto dirs = MUST(store_->layers().lower_dirs(record.chain_id));
    EXPECT_EQ(MUST(sys::read_file(dirs.at(1) + "/a")), "1");
    EXPECT_TRUE(seen(LayerStep::PullComplete));
    EXPECT_TRUE(MUST(store_->check({}, {.settled = {}})).empty());
}

TEST_F(Transfers, known_layers_are_not_fetched_again) {
    const std::string low = TarBuilder().file("a", "1").finish();
    registry_.image("one", {low});
    registry_.image("two", {low, TarBuilder().file("b", "2").finish()});
    MUST(pull("one"));
    MUST(pull("two"));
    EXPECT_EQ(registry_.count("blobs/" + digest_of(low)), 1U);
    EXPECT_TRUE(seen(LayerStep::AlreadyExists));
}

TEST_F(Transfers, one_layer_named_twice_is_fetched_once) {
    const std::string tar = TarBuilder().file("a", "1").finish();
    registry_.image("one", {tar, tar});
    const std::string id = MUST(pull("one"));
    EXPECT_EQ(registry_.count("blobs/" + digest_of(tar)), 1U);
    const auto record = MUST(store_->images().get(id));
    EXPECT_EQ(MUST(store_->layers().lower_dirs(record.chain_id)).size(), 2U);
}

TEST_F(Transfers, two_pulls_at_once_share_the_work) {
    const std::string tar = TarBuilder().file("a", std::string(1'000'000, 'y')).finish();
    registry_.image("one", {tar});
    Result<std::string> other = fail(Code::Internal, "not run");
    std::thread second([&] { other = pull("one"); });
    const auto first = pull("one");
    second.join();
    EXPECT_TRUE(first && other);
    EXPECT_EQ(registry_.count("blobs/" + digest_of(tar)), 1U);
    EXPECT_EQ(MUST(store_->images().list()).size(), 1U);
}

TEST_F(Transfers, wrong_content_leaves_nothing_behind) {
    const std::string tar = TarBuilder().file("a", "1").finish();
    const std::string evil = TarBuilder().file("a", "2").finish();
    registry_.image("one", {TarBuilder().file("x", "x").finish(), tar});
    registry_.set("/v2/a/b/blobs/" + digest_of(tar), answer("200 OK", evil));
    ASSERT_EQ(evil.size(), tar.size());
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
}

TEST_F(Transfers, layer_that_is_not_the_one_of_the_config) {
    const std::string tar = TarBuilder().file("a", "1").finish();
    oci::ImageConfig config;
    config.os = "linux";
    config.architecture = "amd64";
    config.rootfs.diff_ids = {digest_of("another")};
    oci::Manifest manifest;
    manifest.media_type = oci::media_type::kManifest;
    manifest.layers = {registry_.blob(tar, oci::media_type::kLayer)};
    manifest.config = registry_.blob(json::encode(config), oci::media_type::kConfig);
    registry_.document("one", json::encode(manifest), oci::media_type::kManifest);
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
    config.rootfs.diff_ids = {};
    manifest.config = registry_.blob(json::encode(config), oci::media_type::kConfig);
    registry_.document("one", json::encode(manifest), oci::media_type::kManifest);
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
}

TEST_F(Transfers, missing_or_truncated_blobs_leave_nothing_behind) {
    const std::string tar = TarBuilder().file("a", "1").finish();
    const std::string path = "/v2/a/b/blobs/" + digest_of(tar);
    registry_.image("one", {TarBuilder().file("x", "x").finish(), tar});
    registry_.set(path, answer("404 Not Found", R"({"errors":[{"code":"BLOB_UNKNOWN"}]})"));
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
    registry_.set(path, answer("200 OK", tar.substr(0, 700)));
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
    registry_.set(path, answer("200 OK", tar + "more"));
    EXPECT_FALSE(pull("one"));
    expect_empty_store();
    registry_.set(path, answer("200 OK", tar));
    EXPECT_TRUE(pull("one"));
}

TEST_F(Transfers, platform_is_chosen_from_an_index) {
    oci::Index index;
    index.media_type = oci::media_type::kIndex;
    auto arm = registry_.image("", {}, "arm64");
    arm.platform = MUST(oci::parse_platform("linux/arm64"));
    auto amd = registry_.image("", {}, "amd64");
    amd.platform = MUST(oci::parse_platform("linux/amd64"));
    index.manifests = {arm, amd};
    const auto top = registry_.document("multi", json::encode(index), oci::media_type::kIndex);
    const auto plan = MUST(resolve_tag("multi", "linux/arm64"));
    EXPECT_EQ(plan.digest, top.digest);
    ASSERT_EQ(plan.documents.size(), 2U);
    EXPECT_EQ(plan.documents[1].digest, arm.digest);
    EXPECT_EQ(MUST(resolve_tag("multi", "linux/amd64")).documents[1].digest, amd.digest);
    const auto none = resolve_tag("multi", "linux/s390x");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::NotFound);
    EXPECT_EQ(none.error().message,
              "no matching manifest for linux/s390x in the manifest list entries");
}

TEST_F(Transfers, documents_are_read_in_one_way_only) {
    const auto manifest = registry_.image("one", {});
    const std::string text = R"({"schemaVersion":2,"mediaType":")" +
                             std::string(oci::media_type::kIndex) + R"(","manifests":[]})";
    // The header says manifest, the document says index.
    registry_.set("/v2/a/b/manifests/one",
                  answer("200 OK", text, type_header(oci::media_type::kManifest)));
    EXPECT_FALSE(resolve_tag("one"));
    // Both lists in one document.
    const std::string both = R"({"schemaVersion":2,"config":{},"layers":[],"manifests":[]})";
    registry_.set("/v2/a/b/manifests/one",
                  answer("200 OK", both, type_header(oci::media_type::kManifest)));
    EXPECT_FALSE(resolve_tag("one"));
    registry_.set("/v2/a/b/manifests/one",
                  answer("200 OK", both, type_header(oci::media_type::kIndex)));
    EXPECT_FALSE(resolve_tag("one"));
}

TEST_F(Transfers, manifest_must_have_its_digest) {
    const auto manifest = registry_.image("one", {});
    auto reference = registry_.reference("one");
    reference.tag.clear();
    reference.digest = manifest.digest;
    const auto repository = open();
    const auto platform = MUST(oci::parse_platform("linux/amd64"));
    EXPECT_TRUE(resolve(*repository, reference, platform));
    registry_.set("/v2/a/b/manifests/" + manifest.digest,
                  answer("200 OK", "{}", type_header(oci::media_type::kManifest)));
    EXPECT_FALSE(resolve(*repository, reference, platform));
    registry_.set("/v2/a/b/manifests/one",
                  answer("200 OK", "{}",
                         type_header(oci::media_type::kManifest) +
                             "Docker-Content-Digest: " + manifest.digest + "\r\n"));
    const auto wrong = resolve_tag("one");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message, "manifest verification failed for digest " + manifest.digest);
}

TEST_F(Transfers, manifest_of_another_algorithm_must_have_its_digest_too) {
    const auto manifest = registry_.image("one", {});
    const std::string sha512 = sha512_digest_of(registry_.body("/v2/a/b/manifests/one"));
    auto reference = registry_.reference("one");
    reference.tag.clear();
    for (const auto& [digest, right] : {std::pair(sha512, true),
                                        {"sha512:" + std::string(128, 'a'), false},
                                        {"sha384:" + std::string(96, 'a'), false}}) {
        reference.digest = digest;
        registry_.copy("/v2/a/b/manifests/one", "/v2/a/b/manifests/" + digest);
        const auto plan = resolve(*open(), reference, MUST(oci::parse_platform("linux/amd64")));
        EXPECT_EQ(static_cast<bool>(plan), right) << digest;
        EXPECT_EQ(plan ? plan->digest : "", right ? manifest.digest : "");
    }
}

TEST_F(Transfers, size_of_a_known_blob_must_be_the_declared_one) {
    const std::string tar = TarBuilder().file("a", "1").finish();
    registry_.image("one", {tar});
    MUST(pull("one"));
    auto manifest = MUST(resolve_tag("one")).manifest;
    manifest.layers[0].size += 1;
    registry_.document("two", json::encode(manifest), oci::media_type::kManifest);
    const auto wrong = pull("two");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message, format("blob {} has {} bytes, not the declared {}",
                                            digest_of(tar), tar.size(), tar.size() + 1));
}

TEST_F(Transfers, unknown_image_in_dockers_words) {
    const auto unknown = resolve_tag("none");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::NotFound);
    EXPECT_EQ(unknown.error().message, "manifest for " +
                                           registry_.reference("none").familiar_string() +
                                           " not found: manifest unknown: manifest unknown");
    registry_.set("/v2/a/b/manifests/private", answer("401 Unauthorized", "",
                                                      "WWW-Authenticate: Bearer realm=\""
                                                      "http://127.0.0.1:1/t\"\r\n"));
    EXPECT_FALSE(resolve_tag("private"));
    registry_.set("/v2/a/b/manifests/denied",
                  answer("403 Forbidden", R"({"errors":[{"code":"DENIED","message":""}]})"));
    const auto denied = resolve_tag("denied");
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().code, Code::NotFound);
    EXPECT_EQ(denied.error().message,
              "pull access denied for " + registry_.reference("x").familiar_name() +
                  ", repository does not exist or may require 'docker login': denied: requested "
                  "access to the resource is denied");
}

TEST_F(Transfers, tags_are_listed_page_by_page) {
    registry_.set("/v2/a/b/tags/list",
                  answer("200 OK", R"({"tags":["1","2"]})",
                         "Link: </v2/a/b/tags/list?last=2&n=2>; rel=\"next\"\r\n"));
    registry_.set("/v2/a/b/tags/list?last=2&n=2", answer("200 OK", R"({"tags":["3","bad tag"]})"));
    EXPECT_EQ(MUST(list_tags(*open(), registry_.reference("x"))),
              (std::vector<std::string>{"1", "2", "3"}));
}

}  // namespace
}  // namespace coffer::registry
