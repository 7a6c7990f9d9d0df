#include "engine/dependencies.hpp"

#include <algorithm>
#include <set>

#include "engine/health.hpp"

namespace coffer::engine {

namespace {

using Records = std::vector<std::shared_ptr<const Record>>;

std::string label(const Record& record, const char* name) {
    const auto found = record.config.labels.find(std::string("com.docker.compose.") + name);
    return found == record.config.labels.end() ? "" : found->second;
}

Condition parse_condition(std::string_view text) {
    if (text == "service_healthy") return Condition::Healthy;
    if (text == "service_completed_successfully") return Condition::Completed;
    return Condition::Started;
}

std::vector<Dependency> wanted_by(const Record& record, const Records& all) {
    std::vector<Dependency> wanted;
    // Whose namespaces it shares.
    const api::HostConfig& host = record.host_config;
    for (const std::string* mode : {&host.network_mode, &host.pid_mode, &host.ipc_mode}) {
        if (const auto other = shared_with(*mode)) wanted.push_back({*other, Condition::Started});
    }
    const std::string project = label(record, "project");
    if (project.empty()) return wanted;
    for (const std::string& entry : split(label(record, "depends_on"), ',')) {
        const std::vector<std::string> parts = split(entry, ':');
        for (const auto& other : all) {
            if (label(*other, "project") != project || label(*other, "service") != parts[0] ||
                label(*other, "oneoff") == "True") {
                continue;
            }
            wanted.push_back(
                {other->id, parts.size() > 1 ? parse_condition(parts[1]) : Condition::Started});
        }
    }
    return wanted;
}

// Depth first; who is on the way to a container is not waited for by it.
class CircleCutter {
  public:
    explicit CircleCutter(Dependencies& graph) : graph_(graph) {}

    void visit(const std::string& id) {
        if (!seen_.insert(id).second) return;
        on_the_way_.insert(id);
        std::vector<Dependency>& wanted = graph_[id];
        std::erase_if(wanted, [&](const Dependency& dependency) {
            return on_the_way_.contains(dependency.id);
        });
        for (const Dependency& dependency : wanted) visit(dependency.id);
        on_the_way_.erase(id);
    }

  private:
    Dependencies& graph_;
    std::set<std::string> seen_;
    std::set<std::string> on_the_way_;
};

}  // namespace

Dependencies dependencies_of(const Records& records) {
    Dependencies graph;
    for (const auto& record : records) graph[record->id] = wanted_by(*record, records);
    CircleCutter cutter(graph);
    for (const auto& record : records) cutter.visit(record->id);
    return graph;
}

bool is_settled(const Record& dependency, Condition condition) {
    if (!dependency.is_up()) return true;
    if (!dependency.is_running() || condition == Condition::Completed) return false;
    if (condition == Condition::Started) return true;
    const auto probe = probe_of(dependency.config);
    if (!probe || !*probe) return true;
    return dependency.health && dependency.health->status == "healthy";
}

}  // namespace coffer::engine
