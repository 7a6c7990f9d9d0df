#include "store/store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "archive/testing.hpp"
#include "base/hash.hpp"
#include "base/sync.hpp"
#include "sys/file.hpp"

namespace coffer::store {
namespace {

using archive::testing::TarBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

class StoreTest : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }

    void SetUp() override { open(); }
    void TearDown() override {
        EXPECT_THAT(MUST(store_->check(containers_, {.settled = {}})), IsEmpty());
    }

    void open() {
        store_.reset();
        store_ = MUST(Store::open({.data_root = root_, .unpacker = [this](const auto& request) {
                                       ++unpacked_;
                                       return archive::unpack_here(request);
                                   }}));
    }

    // A layer of one file, distributed as a plain tar.
    struct TestLayer {
        std::string diff_id;
        std::string tar;
    };
    static TestLayer make_layer(const std::string& content) {
        std::string tar = TarBuilder().file("file", content).finish();
        return {digest_of(tar), tar};
    }
    Result<Layer> add_layer(const TestLayer& layer, const std::string& parent,
                            const std::string& diff_id) {
        const std::string digest = MUST(store_->content().put(layer.tar));
        const sys::Fd blob = MUST(store_->content().open(digest));
        return store_->layers().add(
            {.parent = parent, .diff_id = diff_id, .digest = digest, .input_fd = blob.get()});
    }

    // An image with a layer for each content, as a pull makes it.
    std::string add_image(const std::vector<std::string>& contents, const std::string& config) {
        const auto lease = store_->lease();
        ImageRecord image;
        image.id = digest_of(config);
        lease->blob(image.id);
        MUST(store_->content().put(config));
        image.blobs.push_back({BlobKind::Config, image.id, "config", config.size()});
        for (const std::string& content : contents) {
            const TestLayer layer = make_layer(content);
            lease->blob(layer.diff_id);
            lease->layer(chain_id_of(image.chain_id, layer.diff_id));
            const Layer added = MUST(add_layer(layer, image.chain_id, layer.diff_id));
            image.chain_id = added.chain_id;
            image.blobs.push_back({BlobKind::Layer, layer.diff_id, "layer", layer.tar.size()});
        }
        MUST(store_->images().add(image));
        return image.id;
    }

    sys::TempDir folder_ = make_folder();
    std::string root_ = folder_.path() + "/data";
    std::atomic<int> unpacked_ = 0;
    std::vector<std::string> containers_;
    std::unique_ptr<Store> store_;
};

std::vector<std::string> kinds(const std::vector<Finding>& findings) {
    std::vector<std::string> out;
    for (const Finding& finding : findings) out.push_back(finding.kind);
    return out;
}

TEST_F(StoreTest, root_is_private_and_locked) {
    struct stat status {};
    ASSERT_EQ(::stat(root_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0700U);
    const auto second =
        Store::open({.data_root = root_, .unpacker = archive::unpack_here, .patience = {}});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::Conflict);
    EXPECT_FALSE(Store::open({.data_root = "relative", .unpacker = archive::unpack_here}));
}

TEST_F(StoreTest, a_lock_that_a_dead_engine_left_to_a_child_is_waited_for) {
    store_.reset();
    auto held = std::optional(MUST(sys::FileLock::try_lock(root_ + "/lock")));
    std::thread child([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        held.reset();
    });
    auto opened = Store::open({.data_root = root_, .unpacker = archive::unpack_here});
    child.join();
    store_ = MUST(std::move(opened));
}

TEST_F(StoreTest, an_image_is_found_by_every_name) {
    const std::string id = add_image({"one", "three"}, "config a");
    EXPECT_EQ(MUST(store_->images().tag("docker.io/library/a:1", id)), std::nullopt);
    MUST(store_->images().add_digest("docker.io/library/a@" + id, id));
    const ImageRecord image = MUST(store_->images().get(id));
    EXPECT_EQ(image.size, 8U);
    EXPECT_THAT(image.tags, ElementsAre("docker.io/library/a:1"));
    EXPECT_THAT(image.digests, ElementsAre("docker.io/library/a@" + id));
    ASSERT_EQ(image.blobs.size(), 3U);
    EXPECT_EQ(image.blobs[0].kind, BlobKind::Config);
    EXPECT_EQ(image.blobs[2].kind, BlobKind::Layer);
    EXPECT_EQ(store_->images().find_reference("docker.io/library/a:1"), id);
    EXPECT_EQ(store_->images().find_reference("docker.io/library/a:2"), std::nullopt);
    EXPECT_EQ(MUST(store_->images().find_id(id)), id);
    EXPECT_EQ(MUST(store_->images().find_id(id.substr(7, 12))), id);
    EXPECT_EQ(MUST(store_->images().find_id("xyz")), std::nullopt);
    EXPECT_EQ(MUST(store_->images().find_id("")), std::nullopt);

    const auto dirs = MUST(store_->layers().lower_dirs(image.chain_id));
    ASSERT_EQ(dirs.size(), 2U);
    EXPECT_EQ(MUST(sys::read_file(dirs[0] + "/file")), "three");
    EXPECT_EQ(MUST(sys::read_file(dirs[1] + "/file")), "one");
}

TEST_F(StoreTest, an_ambiguous_id_is_an_error) {
    // Two configs whose digests begin with the same digit: seventeen always have such a pair.
    for (int i = 0; i < 17; ++i) add_image({}, std::to_string(i));
    bool ambiguous = false;
    for (const char digit : std::string("0123456789abcdef")) {
        const auto found = store_->images().find_id(std::string(1, digit));
        ambiguous = ambiguous || (!found && found.error().code == Code::Conflict);
    }
    EXPECT_TRUE(ambiguous);
}

TEST_F(StoreTest, a_tag_moves_and_leaves_the_old_image_dangling) {
    const std::string a = add_image({"x"}, "a");
    const std::string b = add_image({"x"}, "b");
    MUST(store_->images().tag("r/n:t", a));
    EXPECT_EQ(MUST(store_->images().tag("r/n:t", b)), a);
    EXPECT_THAT(MUST(store_->images().get(a)).tags, IsEmpty());
    EXPECT_EQ(store_->images().tag("r/n:u", "sha256:none").error().code, Code::NotFound);
    MUST(store_->images().untag("r/n:t"));
    EXPECT_EQ(store_->images().untag("r/n:t").error().code, Code::NotFound);
}

TEST_F(StoreTest, a_name_stands_for_all_images_of_its_index) {
    const std::string index = MUST(store_->content().put("index"));
    const std::string a = add_image({"x"}, "a");
    const std::string b = add_image({"x"}, "b");
    for (const std::string& id : {a, b}) {
        ImageRecord image = MUST(store_->images().get(id));
        image.blobs = {{BlobKind::Index, index, "type", 5}};
        MUST(store_->images().add(image));
    }
    EXPECT_THAT(MUST(store_->images().of_target(index)), UnorderedElementsAre(a, b));
    EXPECT_FALSE(MUST(store_->images().get(b)).in_named_index);
    MUST(store_->images().tag("r/n:t", a, index));
    EXPECT_EQ(store_->images().target_of("r/n:t"), index);
    EXPECT_EQ(MUST(store_->images().get(a)).target, index);
    EXPECT_FALSE(MUST(store_->images().get(a)).in_named_index);
    EXPECT_TRUE(MUST(store_->images().get(b)).in_named_index);
    MUST(store_->images().tag("r/n:t", a));
    EXPECT_EQ(store_->images().target_of("r/n:t"), std::nullopt);
    EXPECT_FALSE(MUST(store_->images().get(b)).in_named_index);
    MUST(store_->images().add_digest("r/n@" + index, a));
    EXPECT_EQ(store_->images().target_of("r/n@" + index), index);
}

TEST_F(StoreTest, removing_an_image_keeps_what_others_use) {
    const std::string a = add_image({"base", "a"}, "a");
    const std::string b = add_image({"base", "b"}, "b");
    EXPECT_EQ(unpacked_, 3);
    EXPECT_EQ(MUST(store_->layers().list()).size(), 3U);
    EXPECT_EQ(MUST(store_->images().remove(a)).size(), 1U);
    EXPECT_EQ(MUST(store_->layers().list()).size(), 2U);
    EXPECT_TRUE(store_->content().has(make_layer("base").diff_id));
    EXPECT_FALSE(store_->content().has(make_layer("a").diff_id));
    EXPECT_EQ(MUST(store_->images().remove(b)).size(), 2U);
    EXPECT_THAT(MUST(store_->content().list()), IsEmpty());
    EXPECT_THAT(MUST(sys::list_dir(store_->paths().layers())), IsEmpty());
    EXPECT_EQ(store_->images().remove(a).error().code, Code::NotFound);
}

TEST_F(StoreTest, a_container_keeps_its_layers) {
    const std::string id = add_image({"x"}, "a");
    const std::string chain = MUST(store_->images().get(id)).chain_id;
    const std::string path = MUST(store_->create_writable("c1", chain));
    EXPECT_TRUE(sys::exists(path + "/diff"));
    EXPECT_TRUE(sys::exists(path + "/work"));
    EXPECT_EQ(store_->create_writable("c1", chain).error().code, Code::Conflict);
    EXPECT_EQ(store_->create_writable("c2", digest_of("no")).error().code, Code::NotFound);
    EXPECT_FALSE(store_->create_writable("../c", chain));
    EXPECT_THAT(MUST(store_->images().remove(id)), IsEmpty());
    EXPECT_TRUE(store_->layers().has(chain));
    MUST(store_->remove_writable("c1"));
    MUST(store_->remove_writable("c1"));
    EXPECT_FALSE(store_->layers().has(chain));
    EXPECT_FALSE(sys::exists(path));
}

TEST_F(StoreTest, containers_nobody_knows_are_swept) {
    const std::string id = add_image({"x"}, "a");
    const std::string chain = MUST(store_->images().get(id)).chain_id;
    MUST(store_->create_writable("known", chain));
    MUST(store_->create_writable("lost", chain));
    MUST(sys::make_dirs(store_->paths().container("rowless") + "/diff"));
    EXPECT_THAT(MUST(store_->check({"known"}, {.settled = {}})), SizeIs(2));
    open();
    MUST(store_->sweep_containers({"known"}));
    EXPECT_THAT(MUST(sys::list_dir(store_->paths().containers())), ElementsAre("known"));
    containers_ = {"known"};
}

TEST_F(StoreTest, a_wrong_digest_leaves_nothing) {
    const TestLayer layer = make_layer("x");
    const auto lease = store_->lease();
    lease->blob(layer.diff_id);
    const auto wrong = add_layer(layer, "", digest_of("other"));
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("not the expected"));
    EXPECT_THAT(MUST(sys::list_dir(store_->paths().layers())), IsEmpty());

    auto writer = MUST(store_->content().create(3));
    MUST(writer.write("abc"));
    EXPECT_FALSE(writer.commit(digest_of("abd")));
    EXPECT_FALSE(store_->content().has(digest_of("abc")));
}

TEST_F(StoreTest, a_blob_must_have_its_declared_size) {
    auto small = MUST(store_->content().create(4));
    MUST(small.write("abc"));
    EXPECT_FALSE(small.commit());
    auto large = MUST(store_->content().create(2));
    EXPECT_FALSE(large.write("abc"));
    EXPECT_THAT(MUST(store_->content().list()), IsEmpty());
}

TEST_F(StoreTest, a_write_that_fails_half_way_leaves_no_bytes) {
    auto writer = MUST(store_->content().create());
    MUST(writer.write("abc"));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto on_signal = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit five{5, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &five), 0);
    EXPECT_FALSE(writer.write("defg"));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, on_signal);
    MUST(writer.write("d"));
    const std::string digest = MUST(writer.commit(digest_of("abcd")));
    EXPECT_EQ(MUST(store_->content().read(digest)), "abcd");
    MUST(store_->content().remove(digest));
}

TEST_F(StoreTest, uses_are_remembered_and_never_go_back) {
    const std::string id = add_image({"one"}, "config a");
    const auto image = [&] { return MUST(store_->images().get(id)); };
    EXPECT_EQ(image().used, image().added);
    const Time later = image().added + std::chrono::hours(1);
    MUST(store_->images().stamp({{id, later}, {digest_of("nobody's"), later}}));
    EXPECT_EQ(image().used, later);
    MUST(store_->images().stamp({{id, later - std::chrono::minutes(1)}}));
    open();
    EXPECT_EQ(image().used, later);
}

TEST_F(StoreTest, who_comes_unasked_removes_no_image_in_use) {
    const std::string id = add_image({"one"}, "config a");
    const auto yes = [] { return true; };
    {
        const auto lease = store_->lease();
        lease->blob(id);
        EXPECT_EQ(store_->images().remove_unheld(id, yes).error().code, Code::Conflict);
    }
    EXPECT_EQ(store_->images().remove_unheld(id, [] { return false; }).error().code,
              Code::Conflict);
    MUST(store_->images().get(id));
    EXPECT_EQ(MUST(store_->images().remove_unheld(id, yes)).size(), 1U);
    EXPECT_THAT(MUST(store_->content().list()), IsEmpty());
}

TEST_F(StoreTest, usage_is_what_lies_on_the_disk) {
    const auto usage = [&] { return MUST(store_->image_usage()); };
    const std::uint64_t empty = usage();
    const std::string id = add_image({std::string(100'000, 'x'), "small"}, "config a");
    const std::uint64_t layers = MUST(sys::measure_tree(store_->paths().layers())).bytes -
                                 MUST(sys::measure_tree(store_->paths().trash())).bytes;
    const std::uint64_t blobs = MUST(sys::measure_tree(store_->paths().blobs())).bytes;
    EXPECT_NEAR(static_cast<double>(usage()), static_cast<double>(layers + blobs), 16384);
    EXPECT_EQ(MUST(store_->layers().sizes_on_disk()).size(), 2U);
    MUST(store_->images().remove(id));
    EXPECT_EQ(usage(), empty);
}

TEST_F(StoreTest, a_digest_is_no_path) {
    EXPECT_FALSE(store_->content().has("sha256:../../state.db"));
    EXPECT_FALSE(store_->content().open("sha256:../../state.db"));
    EXPECT_FALSE(store_->content().remove("../state.db"));
    EXPECT_FALSE(store_->layers().add({.diff_id = "sha256:../x", .input_fd = 0}));
}

TEST_F(StoreTest, a_damaged_blob_is_not_read) {
    const std::string id = add_image({}, "config");
    MUST(sys::write_file(store_->paths().blob(id), "another"));
    const auto read = store_->content().read(id);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr("is damaged"));
    MUST(store_->images().remove(id));
}

TEST_F(StoreTest, two_pulls_share_one_unpack) {
    const TestLayer layer = make_layer("shared");
    const auto lease = store_->lease();
    lease->blob(layer.diff_id);
    lease->layer(layer.diff_id);
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            if (add_layer(layer, "", layer.diff_id)) ++good;
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 8);
    EXPECT_EQ(unpacked_, 1);
}

TEST_F(StoreTest, a_layer_of_unknown_diff_id_is_found_out) {
    const TestLayer layer = make_layer("imported");
    const auto lease = store_->lease();
    lease->blob(layer.diff_id);
    lease->layer(layer.diff_id);
    EXPECT_EQ(MUST(add_layer(layer, "", "")).diff_id, layer.diff_id);
    EXPECT_EQ(MUST(add_layer(layer, "", "")).chain_id, layer.diff_id);
    EXPECT_EQ(MUST(sys::list_dir(store_->paths().layers())).size(), 1U);
    EXPECT_EQ(add_layer(layer, digest_of("no parent"), "").error().code, Code::NotFound);
}

TEST_F(StoreTest, a_stack_is_added_in_order) {
    const auto lease = store_->lease();
    std::vector<TestLayer> layers;
    std::vector<Layers::Stacked> stack;
    std::vector<std::string> diff_ids;
    for (const char* content : {"1", "2", "3", "4", "5", "6"}) {
        layers.push_back(make_layer(content));
        diff_ids.push_back(layers.back().diff_id);
        MUST(store_->content().put(layers.back().tar));
        lease->layer(chain_id_of(diff_ids));
        stack.push_back({diff_ids.back(), [this, digest = diff_ids.back()] {
                             return store_->content().open(digest);
                         }});
    }
    MUST(add_layer(layers[0], "", diff_ids[0]));  // one that is there already
    Sync<std::vector<std::size_t>> order;
    const auto chain_id =
        store_->layers().add_stack(stack, [&](std::size_t index, const Result<Layer>& layer) {
            EXPECT_TRUE(layer);
            order.lock()->push_back(index);
        });
    EXPECT_EQ(MUST(chain_id), chain_id_of(diff_ids));
    EXPECT_THAT(*order.lock(), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(MUST(store_->layers().chain(*chain_id)), SizeIs(6));
    EXPECT_EQ(unpacked_, 6);
    for (const std::string& digest : diff_ids) MUST(store_->content().remove(digest));
}

TEST_F(StoreTest, a_stack_ends_where_a_layer_fails) {
    const auto lease = store_->lease();
    std::vector<Layers::Stacked> stack;
    for (const char* content : {"1", "2", "3"}) {
        const TestLayer layer = make_layer(content);
        MUST(store_->content().put(layer.tar));
        lease->blob(layer.diff_id);
        stack.push_back({layer.diff_id, [this, digest = layer.diff_id] {
                             return store_->content().open(digest);
                         }});
    }
    lease->layer(stack[0].diff_id);
    stack[1].open = [&] { return store_->content().open(stack[0].diff_id); };
    Sync<std::vector<std::size_t>> failed;
    const auto chain_id =
        store_->layers().add_stack(stack, [&](std::size_t index, const Result<Layer>& layer) {
            if (!layer) failed.lock()->push_back(index);
        });
    ASSERT_FALSE(chain_id);
    EXPECT_THAT(chain_id.error().message, HasSubstr("not the expected " + stack[1].diff_id));
    EXPECT_THAT(*failed.lock(), ::testing::IsSupersetOf({1U, 2U}));
    EXPECT_THAT(MUST(store_->layers().list()), SizeIs(::testing::Le(1)));
}

TEST_F(StoreTest, a_lease_protects_until_it_ends) {
    const TestLayer layer = make_layer("x");
    {
        const auto lease = store_->lease();
        const auto other = store_->lease();
        for (const auto& held : {lease.get(), other.get()}) {
            held->blob(layer.diff_id);
            held->layer(layer.diff_id);
        }
        MUST(add_layer(layer, "", layer.diff_id));
        // An image that used them comes and goes meanwhile.
        MUST(store_->images().remove(add_image({"x"}, "a")));
        EXPECT_TRUE(store_->layers().has(layer.diff_id));
        EXPECT_TRUE(store_->content().has(layer.diff_id));
    }
    EXPECT_FALSE(store_->layers().has(layer.diff_id));
    EXPECT_FALSE(store_->content().has(layer.diff_id));
}

TEST_F(StoreTest, a_crash_leaves_no_orphans) {
    const std::string id = add_image({"kept"}, "a");
    // What each step of a pull or a removal may leave behind.
    MUST(store_->content().put("unused blob"));
    const TestLayer layer = make_layer("unused");
    MUST(add_layer(layer, "", layer.diff_id));
    MUST(add_layer(make_layer("above"), layer.diff_id, make_layer("above").diff_id));
    const Paths paths = store_->paths();
    MUST(sys::make_dirs(paths.layers() + "/tmp-1/diff/a"));
    MUST(sys::make_dirs(paths.layer(digest_of("renamed, no row")) + "/diff"));
    MUST(sys::make_dirs(paths.trash() + "/1/diff"));
    MUST(sys::make_dirs(paths.container("gone") + "/diff"));
    EXPECT_THAT(kinds(MUST(store_->check({}, {}))),  // what is new may be in the making
                ElementsAre("blob", "blob", "blob", "layer"));
    const CheckOptions all{.settled = std::chrono::seconds(0)};
    EXPECT_THAT(
        kinds(MUST(store_->check({"gone"}, all))),
        ElementsAre("blob", "blob", "blob", "layer", "temporary", "temporary", "temporary"));
    open();
    EXPECT_THAT(MUST(store_->check({"gone"}, all)), IsEmpty());
    CheckOptions repair = all;
    repair.repair = true;
    EXPECT_THAT(kinds(MUST(store_->check({}, repair))), ElementsAre("container"));
    EXPECT_THAT(MUST(store_->check({}, all)), IsEmpty());
    EXPECT_EQ(MUST(store_->images().list()).size(), 1U);
    EXPECT_EQ(MUST(store_->images().get(id)).size, 4U);
}

TEST_F(StoreTest, tells_images_built_on_another) {
    const std::string base = add_image({"1"}, "base");
    const std::string middle = add_image({"1", "2"}, "middle");
    const std::string top = add_image({"1", "2", "3"}, "top");
    EXPECT_THAT(MUST(store_->images().built_on(base)), UnorderedElementsAre(middle, top));
    EXPECT_THAT(MUST(store_->images().built_on(middle)), ElementsAre(top));
    EXPECT_THAT(MUST(store_->images().built_on(top)), IsEmpty());
}

TEST_F(StoreTest, a_check_repairs_and_leaves_what_is_held) {
    MUST(store_->content().put("unused blob"));
    const TestLayer layer = make_layer("unused");
    MUST(add_layer(layer, "", layer.diff_id));
    MUST(sys::make_dirs(store_->paths().trash() + "/1/diff"));
    const CheckOptions repair{.repair = true, .settled = std::chrono::seconds(0)};
    {
        const auto lease = store_->lease();
        lease->layer(layer.diff_id);
        EXPECT_THAT(kinds(MUST(store_->check({}, repair))),
                    ElementsAre("blob", "blob", "temporary"));
        EXPECT_TRUE(store_->layers().has(layer.diff_id));
    }
    EXPECT_THAT(MUST(store_->check({}, repair)), IsEmpty());  // its holder took the layer away
}

TEST_F(StoreTest, a_check_finds_what_is_missing_or_damaged) {
    const std::string id = add_image({"x"}, "a");
    const auto problem = [&](bool deep) {
        const auto findings = MUST(store_->check({}, {.deep = deep, .repair = true}));
        return findings.empty() ? std::string() : findings[0].kind + " " + findings[0].problem;
    };
    EXPECT_EQ(problem(true), "");
    const std::string path = store_->paths().blob(id);
    const std::string text = MUST(sys::read_file(path));
    MUST(sys::write_file(path, std::string(text.size(), '?')));
    EXPECT_EQ(problem(false), "");
    EXPECT_THAT(problem(true), StartsWith("blob has another digest"));
    MUST(sys::write_file(path, text + "?"));
    EXPECT_THAT(problem(false), StartsWith("blob has"));
    MUST(store_->content().remove(id));
    EXPECT_THAT(problem(false), StartsWith("blob is missing"));
    MUST(store_->content().put(text));
    MUST(sys::remove_tree(store_->paths().layer(make_layer("x").diff_id)));
    EXPECT_THAT(problem(false), StartsWith("layer has no files"));
    MUST(store_->images().remove(id));
}

TEST_F(StoreTest, a_check_keeps_a_blob_whose_size_was_declared_wrong) {
    const std::string id = add_image({"x"}, "a");
    MUST(store_->database().run("UPDATE image_blobs SET size = size + 1 WHERE digest = ?", {id}));
    const auto findings = MUST(store_->check({}, {.repair = true}));
    EXPECT_THAT(kinds(findings), ElementsAre("blob"));
    EXPECT_TRUE(store_->content().has(id));
    MUST(store_->images().remove(id));
}

TEST_F(StoreTest, chain_ids_are_as_the_image_specification_says) {
    EXPECT_EQ(chain_id_of({"a"}), "a");
    EXPECT_EQ(chain_id_of({"a", "b", "c"}), digest_of(digest_of("a b") + " c"));
    EXPECT_EQ(chain_id_of(std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace coffer::store
