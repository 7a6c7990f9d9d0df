#include "engine/cdi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Cdi : public ::testing::Test {
  protected:
    void add(const char* folder, const char* file, const std::string& kind,
             const std::string& device, const std::string& edits) {
        MUST(sys::make_dirs(path(folder)));
        MUST(sys::write_file(path(folder) + "/" + file,
                             format(R"({{"cdiVersion":"0.6.0","kind":"{}","devices":)"
                                    R"([{{"name":"{}","containerEdits":{{{}}}}}]}})",
                                    kind, device, edits)));
    }
    std::string path(const char* folder) const { return dir_.path() + "/" + folder; }
    CdiFolders folders() const { return {path("etc"), path("run"), path("absent")}; }

    sys::TempDir dir_ = *sys::TempDir::create();
};

TEST_F(Cdi, a_later_folder_hides_the_device_of_an_earlier_one) {
    add("run", "a.json", "acme.com/x", "0", R"("env":["FROM=run"])");
    add("etc", "b.json", "acme.com/x", "0", R"("env":["FROM=etc"])");
    add("etc", "c.json", "acme.com/x", "1", R"("env":["ONE=1"])");
    EXPECT_THAT(cdi_devices(folders()), ElementsAre("acme.com/x=0", "acme.com/x=1"));
    const auto edits = cdi_edits({"acme.com/x=0", "acme.com/x=1"}, folders());
    ASSERT_TRUE(edits) << edits.error().message;
    EXPECT_THAT(edits->env, ElementsAre("FROM=run", "ONE=1"));
}

TEST_F(Cdi, what_is_not_done_is_refused_by_name) {
    add("etc", "a.json", "acme.com/x", "hooks", R"("hooks":[{}])");
    add("etc", "b.json", "acme.com/x", "net", R"("netDevices":[{}])");
    add("etc", "c.json", "acme.com/x", "rdt", R"("intelRdt":{})");
    for (const auto& [device, what] :
         {std::pair{"hooks", "hooks"}, {"net", "network devices"}, {"rdt", "intelRdt"}}) {
        const auto edits = cdi_edits({std::string("acme.com/x=") + device}, folders());
        ASSERT_FALSE(edits);
        EXPECT_THAT(edits.error().message, HasSubstr(what));
    }
    EXPECT_FALSE(cdi_edits({"acme.com/x=absent"}, folders()));
}

TEST_F(Cdi, requests) {
    add("etc", "a.json", "amd.com/gpu", "0", "");
    api::DeviceRequest gpu{.count = -1, .capabilities = {{"gpu"}}};
    EXPECT_THAT(*cdi_names({gpu}, folders()), ElementsAre("amd.com/gpu=0"));
    gpu.driver = "nvidia";
    EXPECT_EQ(cdi_names({gpu}, folders()).error().message,
              "could not select device driver \"nvidia\" with capabilities: [[gpu]]");
    gpu.driver.clear();
    gpu.capabilities = {{"tpu"}};
    EXPECT_FALSE(cdi_names({gpu}, folders()));
    const api::DeviceRequest by_name{.driver = "cdi", .device_ids = {"acme.com/x=0"}};
    EXPECT_THAT(*cdi_names({by_name}, folders()), ElementsAre("acme.com/x=0"));
    const api::DeviceRequest bad{.driver = "cdi", .device_ids = {"x"}};
    EXPECT_FALSE(cdi_names({bad}, folders()));
}

}  // namespace
}  // namespace coffer::engine
