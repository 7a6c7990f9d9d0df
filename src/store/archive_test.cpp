#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/compress.hpp"
#include "archive/testing.hpp"
#include "base/hash.hpp"
#include "store/archive_load.hpp"
#include "store/archive_save.hpp"
#include "sys/file.hpp"

namespace coffer::store {
namespace {

using archive::testing::TarBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string gzip(const std::string& text) {
    std::string out;
    archive::GzipEncoder encoder([&](std::string_view bytes) -> Result<void> {
        out.append(bytes);
        return {};
    });
    MUST(encoder.write(text));
    MUST(encoder.finish());
    return out;
}

class ArchiveTest : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    std::unique_ptr<Store> open(const std::string& name) {
        return MUST(Store::open(
            {.data_root = folder_.path() + "/" + name, .unpacker = archive::unpack_here}));
    }
    static Result<std::vector<LoadedImage>> load(Store& store, const std::string& tar) {
        archive::MemorySource source(tar);
        return load_archive(store, source, [](const std::string&, std::uint64_t, std::uint64_t) {});
    }
    std::string error_of(const std::string& tar) {
        const auto store = open("errors");
        const auto loaded = load(*store, tar);
        EXPECT_TRUE(MUST(store->check({}, {.settled = {}})).empty());
        return loaded ? "no error" : loaded.error().message;
    }
    static std::string save(Store& store, const std::vector<SavedImage>& images) {
        std::string tar;
        MUST(save_archive(store, images, [&](std::string_view bytes) -> Result<void> {
            tar.append(bytes);
            return {};
        }));
        return tar;
    }
    static std::string config(const std::vector<std::string>& diff_ids) {
        std::string list;
        for (const std::string& id : diff_ids) list += (list.empty() ? "\"" : ",\"") + id + "\"";
        return R"({"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},)"
               R"("rootfs":{"type":"layers","diff_ids":[)" +
               list + "]}}";
    }

    static std::string descriptor(const std::string& type, const std::string& content,
                                  const std::string& more = "") {
        return format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", type, digest_of(content),
                      content.size(), more);
    }
    static std::string named(const std::string& name) {
        return format(R"(,"annotations":{{"org.opencontainers.image.ref.name":"{}"}})", name);
    }
    static std::string manifest_of(const std::string& image_config, const std::string& layer) {
        return R"({"schemaVersion":2,"mediaType":")" + oci + R"(manifest.v1+json","config":)" +
               descriptor(oci + "config.v1+json", image_config) + R"(,"layers":[)" +
               descriptor(oci + "layer.v1.tar+gzip", layer) + "]}";
    }

    inline static const std::string oci = "application/vnd.oci.image.";
    sys::TempDir folder_ = make_folder();
    const std::string one_ = TarBuilder().file("one", "1").finish();
    const std::string two_ = TarBuilder().file("two", "22").finish();
    const std::string config_ = config({digest_of(one_), digest_of(two_), digest_of(one_)});
    const std::string id_ = digest_of(config_);

    // As docker up to 24 wrote it: the manifest last, equal layers as links.
    TarBuilder classic(const std::string& manifest) {
        TarBuilder tar;
        tar.folder("a/")
            .file("a/VERSION", "1.0")
            .file("a/json", "{}")
            .file("a/layer.tar", one_)
            .file("b/layer.tar", gzip(two_))
            .symlink("c/layer.tar", "../a/layer.tar")
            .file("config.json", config_)
            .file("manifest.json", manifest)
            .file("repositories", "{}");
        return tar;
    }
    std::string classic() {
        return classic(R"([{"Config":"config.json","RepoTags":["busybox:1","x.io/y:z"],)"
                       R"("Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}])")
            .finish();
    }
};

TEST_F(ArchiveTest, loads_a_classic_archive) {
    for (const std::string& tar : {classic(), gzip(classic())}) {
        const auto store = open(digest_of(tar).substr(7, 8));
        const auto loaded = MUST(load(*store, tar));
        ASSERT_EQ(loaded.size(), 1U);
        EXPECT_EQ(loaded[0].id, id_);
        EXPECT_THAT(loaded[0].references, ElementsAre("docker.io/library/busybox:1", "x.io/y:z"));
        const ImageRecord image = MUST(store->images().get(id_));
        EXPECT_EQ(image.size, 4U);
        const auto dirs = MUST(store->layers().lower_dirs(image.chain_id));
        ASSERT_EQ(dirs.size(), 3U);
        EXPECT_EQ(MUST(sys::read_file(dirs[1] + "/two")), "22");
        EXPECT_TRUE(
            MUST(store->check({}, {.settled = {}})).empty());  // VERSION and the like are gone
    }
}

TEST_F(ArchiveTest, what_is_saved_can_be_loaded) {
    const auto first = open("first");
    MUST(load(*first, classic()));
    const std::string saved =
        save(*first, {{.id = id_, .references = {"docker.io/library/busybox:1", "x.io/y:z"}}});
    const auto second = open("second");
    const auto loaded = MUST(load(*second, saved));
    ASSERT_EQ(loaded.size(), 1U);
    EXPECT_EQ(loaded[0].id, id_);
    EXPECT_THAT(loaded[0].references, ElementsAre("docker.io/library/busybox:1", "x.io/y:z"));
    EXPECT_EQ(save(*second, {{.id = id_, .references = loaded[0].references}}), saved);
    EXPECT_TRUE(MUST(first->check({}, {.settled = {}})).empty());
    EXPECT_TRUE(MUST(second->check({}, {.settled = {}})).empty());
}

TEST_F(ArchiveTest, an_image_without_names_is_saved_and_loaded) {
    const auto first = open("first");
    MUST(load(*first, classic()));
    const auto second = open("second");
    const auto loaded = MUST(load(*second, save(*first, {{.id = id_, .references = {}}})));
    ASSERT_EQ(loaded.size(), 1U);
    EXPECT_THAT(loaded[0].references, IsEmpty());
}

TEST_F(ArchiveTest, loads_an_oci_layout) {
    const std::string layer = gzip(two_);
    const std::string image_config = config({digest_of(two_)});
    const std::string manifest = manifest_of(image_config, layer);
    const std::string index = R"({"schemaVersion":2,"mediaType":")" + oci +
                              R"(index.v1+json","manifests":[)" +
                              descriptor(oci + "manifest.v1+json", "absent",
                                         R"(,"platform":{"os":"linux","architecture":"s390x"})") +
                              "," +
                              descriptor(oci + "manifest.v1+json", manifest,
                                         R"(,"platform":{"os":"linux","architecture":"amd64"})") +
                              "]}";
    const auto layout = [&](const std::string& stored_layer) {
        const std::string top = R"({"schemaVersion":2,"manifests":[)" +
                                descriptor(oci + "index.v1+json", index, named("n:t")) + "]}";
        TarBuilder tar;
        tar.file("oci-layout", "{}").file("index.json", top);
        for (const std::string& blob : {image_config, manifest, index}) {
            tar.file("blobs/sha256/" + sha256_hex(blob), blob);
        }
        return tar.file("./blobs/sha256/" + sha256_hex(layer), stored_layer).finish();
    };
    const auto store = open("oci");
    const auto loaded = MUST(load(*store, layout(layer)));
    ASSERT_EQ(loaded.size(), 1U);
    EXPECT_THAT(loaded[0].references, ElementsAre("docker.io/library/n:t"));
    const ImageRecord image = MUST(store->images().get(digest_of(image_config)));
    EXPECT_EQ(image.blobs.size(), 4U);  // config, layer, manifest, index
    EXPECT_TRUE(MUST(store->check({}, {.settled = {}})).empty());
    EXPECT_THAT(error_of(layout(gzip(one_))), HasSubstr("not what its descriptor says"));
}

TEST_F(ArchiveTest, what_an_index_names_again_and_again_is_loaded_once) {
    const std::string layer = gzip(two_);
    const std::string image_config = config({digest_of(two_)});
    const std::string manifest = manifest_of(image_config, layer);
    TarBuilder tar;
    const auto add = [&](const std::string& blob) {
        tar.file("blobs/sha256/" + sha256_hex(blob), blob);
    };
    for (const std::string& blob : {layer, image_config, manifest}) add(blob);
    // 10^12 manifests, as it is written.
    std::string entry = descriptor(oci + "manifest.v1+json", manifest);
    std::string index;
    for (int depth = 0; depth < 4; ++depth) {
        index = R"({"schemaVersion":2,"manifests":[)" + entry;
        for (int i = 1; i < 1000; ++i) index += "," + entry;
        index += "]}";
        add(index);
        entry = descriptor(oci + "index.v1+json", index);
    }
    tar.file("oci-layout", "{}");
    tar.file("index.json", R"({"schemaVersion":2,"manifests":[)" +
                               descriptor(oci + "index.v1+json", index, named("of:all")) + "," +
                               descriptor(oci + "manifest.v1+json", manifest, named("of:one")) +
                               "," + descriptor(oci + "index.v1+json", index, named("of:same")) +
                               "]}");
    const auto store = open("oci");
    const auto loaded = MUST(load(*store, tar.finish()));
    // The one image, by what its names stand for.
    ASSERT_EQ(loaded.size(), 2U);
    EXPECT_EQ(loaded[0].id, digest_of(image_config));
    EXPECT_EQ(loaded[1].id, digest_of(image_config));
    EXPECT_EQ(loaded[0].target, digest_of(index));
    EXPECT_EQ(loaded[1].target, digest_of(manifest));
    EXPECT_THAT(loaded[0].references,
                ElementsAre("docker.io/library/of:all", "docker.io/library/of:same"));
    EXPECT_THAT(loaded[1].references, ElementsAre("docker.io/library/of:one"));
    EXPECT_EQ(MUST(store->images().get(loaded[0].id)).blobs.size(), 7U);
}

TEST_F(ArchiveTest, says_what_is_wrong_and_leaves_nothing) {
    EXPECT_THAT(error_of(TarBuilder().file("x", "").finish()), HasSubstr("neither a manifest"));
    EXPECT_THAT(error_of("no tar at all, but long enough to be one" + std::string(600, 'x')),
                HasSubstr("tar:"));
    EXPECT_THAT(error_of(classic().substr(0, 3000)), HasSubstr("unexpected end"));
    const auto manifest = [&](const std::string& text) { return error_of(classic(text).finish()); };
    EXPECT_THAT(manifest("{"), HasSubstr("manifest.json"));
    EXPECT_THAT(manifest(R"([{"Config":"../../etc/passwd","Layers":[]}])"), HasSubstr("leads out"));
    EXPECT_THAT(manifest(R"([{"Config":"config.json","Layers":["a/layer.tar"]}])"),
                HasSubstr("1 layers, but 3"));
    EXPECT_THAT(manifest(R"([{"Config":"config.json","Layers":["none","none","none"]}])"),
                HasSubstr("'none' is missing"));
    EXPECT_THAT(
        manifest(
            R"([{"Config":"config.json","Layers":["b/layer.tar","a/layer.tar","a/layer.tar"]}])"),
        HasSubstr("not the expected"));
    EXPECT_THAT(manifest(R"([{"Config":"a/VERSION","Layers":[]}])"), HasSubstr("image sha256:"));
}

}  // namespace
}  // namespace coffer::store
