/*
 * Which libcurl this is.
 */
#ifndef SMRT_NET_LIBRARY_H
#define SMRT_NET_LIBRARY_H

/* Static strings: of libcurl's headers at build, libcurl now, its TLS library. */
extern const char *smrt_libcurl_built(void);
extern const char *smrt_libcurl_running(void);
extern const char *smrt_tls_library(void);

#endif							/* SMRT_NET_LIBRARY_H */
