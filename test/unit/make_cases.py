"""Writes the signing cases of cases/, the expected texts being botocore's.

Run it with a Python that has botocore.  The layout is that of aws-c-auth's
signing test suite; what it means here is said in test_cases.c.  Six cases are
also pinned to digests that another version of botocore gave.
"""
import datetime
import hashlib
import json
import os
import shutil
import sys
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'cases')
KEY_ID = 'AKIDEXAMPLE'
SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
TIME = datetime.datetime(2026, 1, 2, 3, 4, 5)
HOST = 'runtime.sagemaker.us-east-1.amazonaws.com'
INVOKE = '/endpoints/ep-1/invocations'
TYPE_CSV = ('Content-Type', 'text/csv')

# Name: what differs from a POST of nothing to one endpoint.  A path of a raw
# case is not encoded yet; a query is, as botocore takes it for granted.
CASES = {
    'sagemaker-csv': dict(
        headers=[TYPE_CSV, ('Accept', 'text/csv')], body=b'1,2\n'),
    'sagemaker-token': dict(
        headers=[TYPE_CSV, ('Accept', 'text/csv')], body=b'1,2\n',
        token='TOKEN'),
    'sagemaker-empty': dict(),
    'sagemaker-json': dict(
        headers=[('Content-Type', 'application/json'),
                 ('X-Amzn-SageMaker-Custom-Attributes', 'a=b  c '),
                 ('X-Amzn-SageMaker-Target-Model', 'm/x.tar.gz')],
        body=b'{"instances":[[1,2]]}'),
    'sagemaker-async-china': dict(
        host='runtime.sagemaker.cn-north-1.amazonaws.com.cn',
        region='cn-north-1', path='/endpoints/ep-1/async-invocations',
        headers=[('X-Amzn-SageMaker-Content-Type', 'text/csv'),
                 ('X-Amzn-SageMaker-InputLocation', 's3://b/k')]),
    'sagemaker-local-binary': dict(
        scheme='http', host='127.0.0.1:8080', headers=[TYPE_CSV],
        body=b'\x00\xff'),

    'all-members': dict(
        headers=[TYPE_CSV, ('Accept', '*/*'),
                 ('X-Amzn-SageMaker-Custom-Attributes', 'trace=1;who="x"'),
                 ('X-Amzn-SageMaker-Target-Model', 'm.tar.gz'),
                 ('X-Amzn-SageMaker-Target-Variant', 'AllTraffic'),
                 ('X-Amzn-SageMaker-Target-Container-Hostname', 'first'),
                 ('X-Amzn-SageMaker-Inference-Id', 'row 17'),
                 ('X-Amzn-SageMaker-Enable-Explanations', '`true`'),
                 ('X-Amzn-SageMaker-Inference-Component', 'part-1'),
                 ('X-Amzn-SageMaker-Session-Id', 'NEW_SESSION'),
                 ('X-Amzn-SageMaker-Prefix-Aware-Id', 'p/1'),
                 ('amz-sdk-invocation-id',
                  '1e7b8c0a-4b7e-4a7e-9d4e-0f7d1c2b3a49'),
                 ('amz-sdk-request', 'attempt=1; max=3')],
        body=b'5.1,3.5,1.4,0.2\n', token='FwoGZXIvYXdzEA//+/=='),
    'stream': dict(
        path='/endpoints/ep-1/invocations-response-stream',
        headers=[('Content-Type', 'application/json'),
                 ('X-Amzn-SageMaker-Accept', 'application/jsonlines')],
        body=b'{"inputs":"hi","stream":true}'),
    'blanks-fold': dict(
        headers=[('X-Amzn-SageMaker-Custom-Attributes',
                  '  \t a   "b   c"\t\td  \t')]),
    'value-only-blanks': dict(headers=[('X-Empty', ''), ('X-Blank', ' \t ')]),
    'value-over-lines': dict(headers=[('X-Long', 'one\n   two\n\tthree')]),
    'value-long': dict(headers=[('X-Long', 'word ' * 800)]),
    'value-specials': dict(
        headers=[('X-Specials', '%41 ,;:="\'\\()<>@[]?{}~`!#$^&*+|/')]),
    'names-merge': dict(
        headers=[('X-Two', 'b'), ('x-two', ' a  a '), ('X-TWO', ''),
                 ('X-One', '1')]),
    'names-order': dict(
        headers=[('X-B', '1'), ('X-A-B', '2'), ('X-AB', '3'), ('X-A', '4'),
                 ('X-A1', '5'), ('X_A', '6'), ('Accept', '7'), ('x-a.', '8')]),
    'names-unsigned': dict(
        headers=[('User-Agent', 'sagemaker_rt'), ('Expect', '100-continue'),
                 ('X-Amzn-Trace-Id', 'Root=1'), TYPE_CSV]),
    'path-prefix': dict(host='proxy.example:8443', path='/a/b' + INVOKE),
    'path-encoded': dict(path='/a%20b/%2F' + INVOKE),
    'path-specials': dict(path="/a+b/(c)/d=e,f;g/@h:i/!*'$&/~j"),
    'path-dots': dict(path='/x/../a/./b//c/../d/'),
    'path-above-root': dict(path='/../../a'),
    'path-only-dots': dict(path='/a/..'),
    'path-root': dict(method='GET', path='/'),
    'query-order': dict(method='GET', path='/', query='b=2&a=3&a=1&B=0&a-b=4'),
    'query-encoded': dict(method='GET', path='/',
                          query='q=a%20b%2Fc&%E1%88%B4=1&z'),
    'host-ipv6': dict(scheme='http', host='[::1]:8080', headers=[TYPE_CSV]),
    'secret-long': dict(secret='s' * 300),
    'token-long': dict(token='Fwo' + 'aB3/+' * 400 + '=='),
    'end-of-day': dict(time=datetime.datetime(2027, 12, 31, 23, 59, 59)),
    'sts': dict(host='sts.eu-west-1.amazonaws.com', path='/',
                region='eu-west-1', service='sts',
                headers=[('Content-Type', 'application/x-www-form-urlencoded')],
                body=b'Action=AssumeRole&Version=2011-06-15'),
    's3-raw-path': dict(method='GET', host='b.s3.us-east-1.amazonaws.com',
                        service='s3', raw=True, path='/a//./b c/../%41+d'),
    's3-root': dict(method='GET', host='b.s3.us-east-1.amazonaws.com',
                    service='s3', raw=True, path='/'),
}

# SHA-256 of the canonical request, and signature, by botocore 1.43.117.
PINNED = {
    'sagemaker-csv': (
        '899c13431f9f26feed6014ec568c2366fcd068c18060fc6d6d312475fd9467f6',
        '4e018692720468cda0b5bc8a8756a787aa7eb70b5c5f25cd8df1e86bca3c77f8'),
    'sagemaker-token': (
        '1dd7deba5ac98caa616ad23912a83b511c8c06c73975d8dbbbf363da58c3db0c',
        'ed1c53f2bb2cb14c2e93574957c0c4144c86f1eabf1e9fc9aa0b20d2bfca8bef'),
    'sagemaker-empty': (
        'affed4e1e8df6e7f833d00e033a7df55327ddbb56d4be72cb1761e7e8d445532',
        '1742a3b90e6d35390838d9b15af614e7cfe66a3f945f6c1c4345f2c60d0487f1'),
    'sagemaker-json': (
        'aabfa546c82298c708a7adeaa7528e68b9334830ad0ab50802612a1a62ca8b57',
        'be97681b07b3924db6a60ed2fc5946d9734c221cc06256d8d2ee0c07e2bab373'),
    'sagemaker-async-china': (
        '36e0a9bab89ff650d0b1653cb135b1228f651cfc1476fabd784aa47f5e2e5bd5',
        '0c9e36a450bfe43de2864d12c4ab29932112b431d5d208deb219c8455dde543d'),
    'sagemaker-local-binary': (
        '1c395451fd4f2e55a76dd7e27b2845c3d442d7cec93f033f9cd2bc1c05845f69',
        '3d15da94c159b6ae5abf6096c4d298fa89c4c91b058ff44577e5e19beeb8a2e3'),
}


def make(name, method='POST', scheme='https', host=HOST, path=INVOKE, query='',
         headers=(), body=b'', region='us-east-1', service='sagemaker',
         token=None, secret=SECRET, time=TIME, raw=False):
    target = path + ('?' + query if query else '')
    request_text = '%s %s HTTP/1.1\nHost:%s\n' % (method, target, host)
    for header, value in headers:
        request_text += '%s:%s\n' % (header, value)

    sent_path = quote(path, safe='/~') if raw else path
    request = AWSRequest(
        method=method, data=body, url='%s://%s%s%s' % (
            scheme, host, sent_path, '?' + query if query else ''))
    for header, value in headers:
        request.headers[header] = value
    timestamp = time.strftime('%Y%m%dT%H%M%SZ')
    request.context['timestamp'] = timestamp
    auth = (S3SigV4Auth if raw else SigV4Auth)(
        Credentials(KEY_ID, secret, token), service, region)
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    string_to_sign = auth.string_to_sign(request, canonical)
    signature = auth.signature(string_to_sign, request)
    auth._inject_signature_to_request(request, signature)

    if name in PINNED:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        assert PINNED[name] == (digest, signature), name

    credentials = {'access_key_id': KEY_ID, 'secret_access_key': secret}
    if token:
        credentials['token'] = token
    context = {
        'credentials': credentials,
        'normalize': not raw,
        'region': region,
        'service': service,
        'sign_body': raw,
        'timestamp': time.strftime('%Y-%m-%dT%H:%M:%SZ'),
    }
    signed_text = request_text + 'X-Amz-Date:%s\n' % timestamp
    signed_text += 'Authorization:%s\n' % request.headers['Authorization']
    return {
        'context.json': json.dumps(context, indent=4) + '\n',
        'request.txt': request_text.encode() + b'\n' + body,
        'header-canonical-request.txt': canonical,
        'header-string-to-sign.txt': string_to_sign,
        'header-signature.txt': signature,
        'header-signed-request.txt': signed_text.encode() + b'\n' + body,
    }


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, case in CASES.items():
        os.makedirs(os.path.join(FOLDER, name))
        for file, text in make(name, **case).items():
            with open(os.path.join(FOLDER, name, file), 'wb') as out:
                out.write(text if isinstance(text, bytes) else text.encode())
    print('%d cases written' % len(CASES))


if __name__ == '__main__':
    sys.exit(main())
