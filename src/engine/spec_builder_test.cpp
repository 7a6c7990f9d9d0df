#include "engine/spec_builder.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace coffer::engine {
namespace {

using Names = std::vector<std::string>;

template <class T>
bool contains(const std::vector<T>& list, const T& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

Rights rights(const api::HostConfig& host) {
    return MUST(rights_of(host, security::Level::Standard));
}

TEST(Rights, the_default_is_tight_and_each_loosening_has_a_name) {
    const Rights plain = rights({});
    EXPECT_TRUE(plain.no_new_privileges);
    EXPECT_FALSE(contains<std::string>(plain.capabilities, "CAP_NET_RAW"));
    EXPECT_FALSE(contains<std::string>(plain.capabilities, "CAP_SYS_ADMIN"));
    api::HostConfig host;
    host.cap_add = {"net_raw"};
    host.cap_drop = {"CAP_CHOWN"};
    const Rights changed = rights(host);
    EXPECT_TRUE(contains<std::string>(changed.capabilities, "CAP_NET_RAW"));
    EXPECT_FALSE(contains<std::string>(changed.capabilities, "CAP_CHOWN"));
    host.cap_add.clear();
    host.cap_drop = {"ALL"};
    EXPECT_TRUE(rights(host).capabilities.empty());
    host.cap_add = {"CHOWN"};
    EXPECT_EQ(rights(host).capabilities, Names{"CAP_CHOWN"});
    host.cap_add = {"EVERYTHING"};
    EXPECT_EQ(rights_of(host, security::Level::Standard).error().message,
              "invalid capability: \"EVERYTHING\"");
}

TEST(Rights, security_options_are_known_or_refused) {
    api::HostConfig host;
    host.security_opt = {"no-new-privileges=false", "seccomp=unconfined", "level=compat"};
    const Rights loose = rights(host);
    EXPECT_FALSE(loose.no_new_privileges);
    EXPECT_TRUE(loose.no_seccomp);
    EXPECT_EQ(loose.level, security::Level::Compat);
    for (const char* bad : {"level=none", "no-new-privileges=maybe", "label=type:x",
                            "writable-cgroups=maybe", "whatever"}) {
        host.security_opt = {bad};
        EXPECT_FALSE(rights_of(host, security::Level::Standard)) << bad;
    }
}

Record record() {
    Record record;
    record.id = std::string(64, 'a');
    record.config.hostname = "web";
    record.config.env = {"A=1", "PATH=/own"};
    record.path = "/bin/sh";
    record.args = {"-c", "true"};
    return record;
}

oci::Spec build(const Record& from, const Rights& allowed) {
    SpecInputs inputs{.record = from, .rights = allowed};
    inputs.id_base = 0x70000000;
    inputs.files = "/files";
    inputs.cgroup_path = "/coffer/x";
    inputs.host_memory = 1'000'000'000;
    return MUST(build_spec(inputs));
}

TEST(SpecBuilder, every_container_has_its_own_user_namespace_and_limits) {
    const oci::Spec spec = build(record(), rights({}));
    ASSERT_EQ(spec.linux->uid_mappings.size(), 1U);
    EXPECT_EQ(spec.linux->uid_mappings[0].host_id, 0x70000000U);
    EXPECT_EQ(spec.linux->uid_mappings[0].size, 65536U);
    EXPECT_TRUE(std::any_of(spec.linux->namespaces.begin(), spec.linux->namespaces.end(),
                            [](const auto& ns) { return ns.type == "user"; }));
    EXPECT_EQ(spec.linux->resources->pids->limit, 2048);
    EXPECT_EQ(spec.linux->resources->memory->limit, 900'000'000);
    EXPECT_EQ(spec.linux->resources->memory->swap, 900'000'000);
    EXPECT_FALSE(spec.linux->masked_paths.empty());
    EXPECT_TRUE(spec.process->no_new_privileges);
    EXPECT_TRUE(spec.process->capabilities->inheritable.empty());
    EXPECT_TRUE(spec.process->capabilities->ambient.empty());
}

TEST(SpecBuilder, the_environment_overrides_the_defaults_in_place) {
    const oci::Spec spec = build(record(), rights({}));
    EXPECT_EQ(spec.process->env, (Names{"PATH=/own", "HOSTNAME=web", "A=1"}));
    EXPECT_EQ(spec.process->args, (Names{"/bin/sh", "-c", "true"}));
    EXPECT_EQ(spec.process->cwd, "/");
}

TEST(SpecBuilder, mounts_come_parents_first_and_replace_defaults) {
    Record from = record();
    MountRecord deep{
        .type = "bind", .name = "", .source = "/deep", .target = "/a/b", .options = {"rbind"}};
    MountRecord top{
        .type = "bind", .name = "", .source = "/top", .target = "/a", .options = {"rbind"}};
    MountRecord hosts{
        .type = "bind", .name = "", .source = "/my", .target = "/etc/hosts", .options = {"rbind"}};
    MountRecord squashed = top;
    squashed.target = "/s";
    squashed.squash_uid = 1000;
    squashed.squash_gid = 100;
    from.mounts = {deep, top, hosts, squashed};
    const oci::Spec spec = build(from, rights({}));
    const auto at = [&](const std::string& target) {
        std::vector<const oci::Mount*> found;
        for (const oci::Mount& mount : spec.mounts) {
            if (mount.destination == target) found.push_back(&mount);
        }
        return found;
    };
    ASSERT_EQ(at("/etc/hosts").size(), 1U);
    EXPECT_EQ(at("/etc/hosts")[0]->source, "/my");
    EXPECT_LT(at("/a")[0], at("/a/b")[0]);
    ASSERT_EQ(at("/s")[0]->uid_mappings.size(), 1U);
    EXPECT_EQ(at("/s")[0]->uid_mappings[0].container_id, 1000U);
    EXPECT_EQ(at("/s")[0]->uid_mappings[0].host_id, 0x70000000U);
    EXPECT_EQ(at("/s")[0]->gid_mappings[0].container_id, 100U);
}

TEST(SpecBuilder, limits_become_resources) {
    api::Resources res;
    res.memory = 64 << 20;
    res.nano_cpus = 1'500'000'000;
    res.cpu_shares = 512;
    res.cpuset_cpus = "0";
    res.pids_limit = 50;
    res.blkio_weight = 300;
    const auto out =
        MUST(build_resources(res, security::profile(security::Level::Standard), 1 << 30));
    EXPECT_EQ(out.memory->limit, 64 << 20);
    EXPECT_EQ(out.memory->swap, 64 << 20);
    EXPECT_EQ(out.cpu->quota, 150000);
    EXPECT_EQ(out.cpu->period, 100000U);
    EXPECT_EQ(out.cpu->shares, 512U);
    EXPECT_EQ(out.cpu->cpus, "0");
    EXPECT_EQ(out.pids->limit, 50);
    EXPECT_EQ(out.block_io->weight, 300);
    EXPECT_FALSE(build_resources({}, security::profile(security::Level::Strict), 1 << 30));
    res.blkio_device_read_bps = {{.path = "/no/such/device", .rate = 1}};
    EXPECT_FALSE(build_resources(res, security::profile(security::Level::Standard), 1 << 30));
}

TEST(SpecBuilder, exec_gets_what_the_container_has_and_never_more) {
    Record from = record();
    const Rights allowed = rights({});
    ExecInputs inputs{.record = from, .rights = allowed, .args = {"id"}, .env = {"B=2"}};
    inputs.privileged = true;
    const oci::Process process = build_exec_process(inputs);
    EXPECT_EQ(process.capabilities->bounding, allowed.capabilities);
    EXPECT_TRUE(process.no_new_privileges);
    EXPECT_EQ(process.env, (Names{"PATH=/own", "HOSTNAME=web", "A=1", "B=2"}));
}

}  // namespace
}  // namespace coffer::engine
