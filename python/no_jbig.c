// Stands in for JBIG-KIT in wheels: the distribution's libtiff calls it, and its licence (GPL) would
// be the wheel's. Pomona refuses JBIG data before libtiff sees them, as do the wheels of Pillow, so
// none of this is ever called; if it were, decoding would fail.
#include <stddef.h>

enum { kFailed = 0x20 };  // JBG_EABORT, an error to jbg_dec_in()'s callers

void jbg_dec_init(void* state) { (void)state; }
void jbg_dec_free(void* state) { (void)state; }
int jbg_dec_in(void* state, unsigned char* data, size_t length, size_t* read) {
  (void)state, (void)data, (void)length, (void)read;
  return kFailed;
}
unsigned long jbg_dec_getsize(const void* state) {
  (void)state;
  return 0;
}
unsigned char* jbg_dec_getimage(const void* state, int plane) {
  (void)state, (void)plane;
  return NULL;
}
int jbg_newlen(unsigned char* data, size_t length) {
  (void)data, (void)length;
  return kFailed;
}
const char* jbg_strerror(int error) {
  (void)error;
  return "JBIG is not read";
}
void jbg_enc_init(void* state) { (void)state; }
void jbg_enc_out(void* state) { (void)state; }
void jbg_enc_free(void* state) { (void)state; }
