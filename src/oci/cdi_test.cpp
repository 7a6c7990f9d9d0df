#include "oci/cdi.hpp"

#include <gtest/gtest.h>

namespace coffer::oci {
namespace {

Result<CdiSpec> parse(std::string_view text) {
    return parse_cdi(TRY(json::parse(text)));
}

TEST(Cdi, reads_a_specification) {
    const auto spec = parse(R"({"cdiVersion":"0.6.0","kind":"acme.com/gpu",
        "devices":[{"name":"0","containerEdits":{"env":["A=b"],
          "deviceNodes":[{"path":"/dev/gpu0","hostPath":"/dev/null","permissions":"rw","uid":5}],
          "mounts":[{"hostPath":"/lib/a","containerPath":"/lib/b","options":["ro"]}],
          "additionalGids":[44]}}],
        "containerEdits":{"hooks":[{"hookName":"prestart","path":"/x"}],"intelRdt":{}}})");
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->kind, "acme.com/gpu");
    const CdiEdits& edits = spec->devices.at(0).edits;
    EXPECT_EQ(edits.device_nodes.at(0).host_path, "/dev/null");
    EXPECT_EQ(edits.device_nodes.at(0).uid, 5U);
    EXPECT_FALSE(edits.device_nodes.at(0).major);
    EXPECT_EQ(edits.mounts.at(0).options, std::vector<std::string>{"ro"});
    EXPECT_EQ(edits.additional_gids, std::vector<std::uint32_t>{44});
    EXPECT_TRUE(edits.hooks.empty());
    EXPECT_FALSE(edits.intel_rdt);
    EXPECT_EQ(spec->edits.hooks.at(0).name, "prestart");
    EXPECT_EQ(spec->edits.hooks.at(0).path, "/x");
    EXPECT_TRUE(spec->edits.intel_rdt);
}

TEST(Cdi, refuses_what_is_none) {
    for (const char* text :
         {"", "[]", R"({"kind":"gpu"})", R"({"kind":"a/b","devices":[{"name":"x y"}]})",
          R"({"kind":"a/b","devices":[{"name":""}]})"}) {
        EXPECT_FALSE(parse(text)) << text;
    }
}

TEST(Cdi, names) {
    const auto name = parse_cdi_name("acme.com/gpu=all");
    ASSERT_TRUE(name);
    EXPECT_EQ(name->kind, "acme.com/gpu");
    EXPECT_EQ(name->device, "all");
    for (const char* text : {"", "a", "a/b", "a/b=", "/b=c", "a/=c", "a/b=c d", "a/b/c=d"}) {
        EXPECT_FALSE(parse_cdi_name(text)) << text;
    }
}

}  // namespace
}  // namespace coffer::oci
