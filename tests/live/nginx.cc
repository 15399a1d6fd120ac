// SPDX-License-Identifier: BSD-2-Clause
#include "nginx.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace live {
namespace {

std::string new_folder()
{
    char name[] = "/tmp/tcpsaga-nginx-XXXXXX";
    if (mkdtemp(name) == nullptr)
        throw std::runtime_error("mkdtemp");
    return name;
}

std::string configure(const std::string& base, const std::string& address,
                      const std::string& listen, const std::string& settings, int workers)
{
    std::ofstream(base + "/index.html") << std::string(100'000, 'n');
    std::ofstream(base + "/nginx.conf")
        << "daemon off; worker_processes " << workers << "; pid " << base
        << "/pid; error_log stderr;\n"
        << "user root; " << settings << " events {}\n"
        << "http { log_format bytes '$request_length $bytes_sent';\n"
        << " log_format who '$remote_port $pid'; access_log " << base << "/who.log who;\n"
        << " access_log " << base << "/access.log bytes; client_body_temp_path " << base
        << "/a; proxy_temp_path " << base << "/b; fastcgi_temp_path " << base
        << "/c; uwsgi_temp_path " << base << "/d; scgi_temp_path " << base << "/e;\n"
        << " server { listen " << address << " " << listen << "; root " << base << "; } }\n";
    return base + "/nginx.conf";
}

} // namespace

Nginx::Nginx(const std::string& host, const std::string& listen, const std::string& settings,
             int workers)
    : folder_(new_folder()), host_(host),
      process_({"nginx", "-c",
                configure(folder_, host + ":" + std::to_string(port_), listen, settings, workers)})
{
}

Nginx::~Nginx()
{
    stop();
    std::filesystem::remove_all(folder_);
}

pid_t Nginx::worker() const
{
    const std::string pid = std::to_string(process_.pid());
    pid_t child = 0;
    std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> child;
    return child;
}

std::string Nginx::url() const
{
    return "http://" + host_ + ":" + std::to_string(port_) + "/index.html";
}

std::string Nginx::stop()
{
    process_.send(SIGQUIT);
    process_.wait();
    const std::ifstream file(folder_ + "/access.log");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::map<std::uint16_t, pid_t> Nginx::workers_by_client() const
{
    std::map<std::uint16_t, pid_t> workers;
    std::ifstream file(folder_ + "/who.log");
    std::uint16_t port = 0;
    for (pid_t pid = 0; file >> port >> pid;)
        workers[port] = pid;
    return workers;
}

} // namespace live
