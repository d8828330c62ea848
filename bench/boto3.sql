-- What a user writes today: one client a session, one call a row.
CREATE EXTENSION plpython3u;

CREATE PROCEDURE boto3_connect(url text, ca text, region text,
                               key_id text, secret_key text)
LANGUAGE plpython3u AS $$
    import boto3
    GD["client"] = boto3.client(
        "sagemaker-runtime", endpoint_url=url, region_name=region, verify=ca,
        aws_access_key_id=key_id, aws_secret_access_key=secret_key)
$$;

CREATE FUNCTION boto3_invoke(endpoint text, body text,
                             content_type text, accept text) RETURNS bytea
LANGUAGE plpython3u AS $$
    answer = GD["client"].invoke_endpoint(
        EndpointName=endpoint, Body=body, ContentType=content_type,
        Accept=accept)
    return answer["Body"].read()
$$;
