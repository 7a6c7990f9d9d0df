#include "engine/dependencies.hpp"

#include <gtest/gtest.h>

namespace coffer::engine {
namespace {

std::shared_ptr<Record> service(const std::string& name, const std::string& depends_on,
                                const std::string& project = "shop") {
    auto record = std::make_shared<Record>();
    record->id = name;
    record->config.labels = {{"com.docker.compose.project", project},
                             {"com.docker.compose.service", name},
                             {"com.docker.compose.depends_on", depends_on}};
    return record;
}

// "db:1 job:2", with the condition as a number.
std::string wanted(const Dependencies& all, const std::string& id) {
    std::string text;
    for (const Dependency& one : all.at(id)) {
        text += format("{}{}:{}", text.empty() ? "" : " ", one.id, static_cast<int>(one.condition));
    }
    return text;
}

TEST(Dependencies, conditions_of_the_label) {
    const auto all = dependencies_of(
        {service("db", ""), service("job", ""), service("cache", ""),
         service("web", "db:service_healthy:true,job:service_completed_successfully:false,cache")});
    EXPECT_EQ(wanted(all, "web"), "db:1 job:2 cache:0");
    EXPECT_EQ(wanted(all, "db"), "");
}

TEST(Dependencies, those_whose_namespaces_are_shared) {
    const auto guest = service("guest", "cache", "shop");
    guest->host_config.network_mode = "container:net";
    guest->host_config.pid_mode = "container:web";
    guest->host_config.ipc_mode = "shareable";
    const auto all = dependencies_of({guest, service("cache", "")});
    EXPECT_EQ(wanted(all, "guest"), "net:0 web:0 cache:0");
}

TEST(Dependencies, every_container_of_a_service_but_none_of_another_project_or_of_a_run) {
    const auto second = service("db", "");
    second->id = "db2";
    const auto foreign = service("db", "", "other");
    foreign->id = "db3";
    const auto one_off = service("db", "");
    one_off->id = "db4";
    one_off->config.labels["com.docker.compose.oneoff"] = "True";
    const auto all =
        dependencies_of({service("db", ""), second, foreign, one_off, service("web", "db")});
    EXPECT_EQ(wanted(all, "web"), "db:0 db2:0");
}

TEST(Dependencies, without_a_project_there_are_none) {
    const auto all = dependencies_of({service("db", "", ""), service("web", "db", "")});
    EXPECT_EQ(wanted(all, "web"), "");
}

TEST(Dependencies, a_circle_is_cut_where_it_closes) {
    const auto all = dependencies_of(
        {service("a", "b"), service("b", "c"), service("c", "a,d"), service("d", "d")});
    EXPECT_EQ(wanted(all, "a"), "b:0");
    EXPECT_EQ(wanted(all, "b"), "c:0");
    EXPECT_EQ(wanted(all, "c"), "d:0");
    EXPECT_EQ(wanted(all, "d"), "");
}

TEST(Dependencies, what_settles_a_condition) {
    Record record;
    record.status = "restarting";
    EXPECT_FALSE(is_settled(record, Condition::Started));
    record.status = "running";
    EXPECT_TRUE(is_settled(record, Condition::Started));
    EXPECT_TRUE(is_settled(record, Condition::Healthy));  // nobody checks it
    EXPECT_FALSE(is_settled(record, Condition::Completed));
    record.config.healthcheck.emplace();
    record.config.healthcheck->test = {"CMD", "true"};
    EXPECT_FALSE(is_settled(record, Condition::Healthy));
    api::Health health;
    health.status = "healthy";
    record.health = std::make_shared<const api::Health>(health);
    EXPECT_TRUE(is_settled(record, Condition::Healthy));
    record.status = "exited";
    EXPECT_TRUE(is_settled(record, Condition::Completed));
}

}  // namespace
}  // namespace coffer::engine
