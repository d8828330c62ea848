/*
 * Versions of libcurl and what it was built with.
 */
#include "postgres.h"

#include <curl/curl.h>

#include "net/library.h"

const char *
smrt_libcurl_built(void)
{
	return LIBCURL_VERSION;
}

const char *
smrt_libcurl_running(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

const char *
smrt_tls_library(void)
{
	return curl_version_info(CURLVERSION_NOW)->ssl_version;
}
